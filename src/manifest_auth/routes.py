"""All routes of the API, in the order of ``/openapi.json`` and ``/docs``; pages have a list of their own."""

from __future__ import annotations

from manifest_auth.api import description_routes, oauth, operational_routes
from manifest_auth.api.admin import admins as admin_admins
from manifest_auth.api.admin import audit as admin_audit
from manifest_auth.api.admin import auth as admin_auth
from manifest_auth.api.admin import badges as admin_badges
from manifest_auth.api.admin import branding as admin_branding
from manifest_auth.api.admin import client_sessions as admin_client_sessions
from manifest_auth.api.admin import clients as admin_clients
from manifest_auth.api.admin import device_apps as admin_device_apps
from manifest_auth.api.admin import directories as admin_directories
from manifest_auth.api.admin import domains as admin_domains
from manifest_auth.api.admin import identities as admin_identities
from manifest_auth.api.admin import installation as admin_installation
from manifest_auth.api.admin import keys as admin_keys
from manifest_auth.api.admin import licence as admin_licence
from manifest_auth.api.admin import own_account as admin_own_account
from manifest_auth.api.admin import provider_names as admin_provider_names
from manifest_auth.api.admin import providers as admin_providers
from manifest_auth.api.admin import service_accounts as admin_service_accounts
from manifest_auth.api.admin import shared_devices as admin_shared_devices
from manifest_auth.api.admin import throttles as admin_throttles
from manifest_auth.api.admin import users as admin_users
from manifest_auth.api.client import audit as client_audit
from manifest_auth.api.client import auth as client_auth
from manifest_auth.api.client import badge as client_badge
from manifest_auth.api.client import device_pairing as client_device_pairing
from manifest_auth.api.client import directory_proof as client_directory_proof
from manifest_auth.api.client import email_changes as client_email_changes
from manifest_auth.api.client import files as client_files
from manifest_auth.api.client import identities as client_identities
from manifest_auth.api.client import link_start as client_link_start
from manifest_auth.api.client import one_time_links as client_one_time_links
from manifest_auth.api.client import passkeys as client_passkeys
from manifest_auth.api.client import profile as client_profile
from manifest_auth.api.client import reauthentication as client_reauthentication
from manifest_auth.api.client import second_factor as client_second_factor
from manifest_auth.api.client import second_factors as client_second_factors
from manifest_auth.api.client import settings as client_settings
from manifest_auth.api.client import single_sign_on as client_single_sign_on
from manifest_auth.api.graphql import explorer as graphql_explorer
from manifest_auth.api.graphql import routes as graphql_routes
from manifest_auth.errors import Refusal
from manifest_auth.http import Answer, Head, docs_site
from manifest_auth.pages import brands, errors
from manifest_auth.pages.sign_in import single_sign_on as browser_single_sign_on
from manifest_auth.protocols.oauth.metadata import PREFIX
from manifest_auth.services import RequestContext

ROUTES = (
    *client_auth.ROUTES,
    *client_single_sign_on.ROUTES,
    *browser_single_sign_on.ROUTES,
    *client_identities.ROUTES,
    *client_one_time_links.ROUTES,
    *client_link_start.ROUTES,
    *client_email_changes.ROUTES,
    *client_directory_proof.ROUTES,
    *graphql_routes.ROUTES,
    *graphql_explorer.ROUTES,
    *client_files.ROUTES,
    *client_audit.ROUTES,
    *client_profile.ROUTES,
    *client_second_factor.ROUTES,
    *client_second_factors.ROUTES,
    *client_passkeys.ROUTES,
    *client_reauthentication.ROUTES,
    *client_badge.ROUTES,
    *client_device_pairing.ROUTES,
    *client_settings.ROUTES,
    *admin_auth.ROUTES,
    *admin_clients.ROUTES,
    *admin_users.ROUTES,
    *admin_providers.ROUTES,
    *admin_domains.ROUTES,
    *admin_directories.ROUTES,
    *admin_provider_names.ROUTES,
    *admin_service_accounts.ROUTES,
    *admin_badges.ROUTES,
    *admin_shared_devices.ROUTES,
    *admin_device_apps.ROUTES,
    *admin_identities.ROUTES,
    *admin_client_sessions.ROUTES,
    *admin_branding.ROUTES,
    *admin_own_account.ROUTES,
    *admin_admins.ROUTES,
    *admin_keys.ROUTES,
    *admin_throttles.ROUTES,
    *admin_installation.ROUTES,
    *admin_licence.ROUTES,
    *admin_audit.ROUTES,
    *oauth.ROUTES,
    *operational_routes.ROUTES,
    *description_routes.ROUTES,
    *docs_site.routes(errors.of_docs_site),
    *brands.ROUTES,
)


async def where_no_route_is(ctx: RequestContext, refusal: Refusal, head: Head, path: str) -> Answer[None]:
    """The answer to an address or a method that nothing serves: below ``/oauth2`` in the shape of its errors."""
    if path.startswith(PREFIX):
        return await oauth.refused(ctx, refusal, head)
    return await errors.where_no_route_is(ctx, refusal, head, path)
