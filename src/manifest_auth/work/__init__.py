"""The work domain: templates with versions and steps, jobs with records and files.

Owns the tables of ``store/tables/work.py``. The rules of templates and jobs are pure functions and know no database.
The operations run inside one unit of work and get an :class:`Actor`; the caller has checked the permission.
"""

from manifest_auth.work import files, job_operations, job_rules, jobs, records, template_operations, templates, versions
from manifest_auth.work.actor import MOST_ROWS, Actor, actor_of
