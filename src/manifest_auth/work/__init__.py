"""The work domain: templates with versions and steps, jobs with records and files.

Owns the tables of ``store/tables/work.py``. The rules (``template_rules``, ``job_rules``) are pure and know no store.
The operations run inside one unit of work and get an :class:`Actor`; the caller has checked the permission.
"""

from manifest_auth.work import (
    assignments,
    files,
    job_operations,
    job_rules,
    jobs,
    records,
    template_operations,
    template_rules,
    templates,
    versions,
)
from manifest_auth.work.actor import MOST_ROWS, Actor, actor_of
