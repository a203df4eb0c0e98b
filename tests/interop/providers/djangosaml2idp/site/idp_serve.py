"""Creates the site's database if there is none, and serves the site."""

# mypy: ignore-errors
from __future__ import annotations

from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from waitress import serve

django.setup()

from djangosaml2idp.models import ServiceProvider  # noqa: E402  (Django wants to be set up first)


def metadata_path(provider: ServiceProvider) -> str:
    """The folder of a service provider's metadata, since the package has only one folder for all sites of a machine."""
    written = Path(settings.STATE) / f"service-provider-{provider.id}.xml"
    written.write_text(provider.local_metadata)
    return str(written)


ServiceProvider.metadata_path = metadata_path
call_command("migrate", verbosity=0)
serve(get_wsgi_application(), host="127.0.0.1", port=settings.PORT, threads=2)
