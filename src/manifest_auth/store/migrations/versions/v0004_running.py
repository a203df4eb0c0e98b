"""Running the installation: what admins, the licence and the audit trail need beside what was there."""

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Filled below, table by table."""
