"""All routes of the API, in the order of ``/openapi.json`` and ``/docs``; pages have a list of their own."""

from __future__ import annotations

from manifest_auth.api import description_routes, oauth, operational_routes
from manifest_auth.api.admin import admins as admin_admins
from manifest_auth.api.admin import audit as admin_audit
from manifest_auth.api.admin import auth as admin_auth
from manifest_auth.api.admin import claims as admin_claims
from manifest_auth.api.admin import clients as admin_clients
from manifest_auth.api.admin import devices as admin_devices
from manifest_auth.api.admin import installation as admin_installation
from manifest_auth.api.admin import providers as admin_providers
from manifest_auth.api.admin import service_accounts as admin_service_accounts
from manifest_auth.api.admin import users as admin_users
from manifest_auth.api.client import audit as client_audit
from manifest_auth.api.client import auth as client_auth
from manifest_auth.api.client import devices as client_devices
from manifest_auth.api.client import directory_proof as client_directory_proof
from manifest_auth.api.client import files as client_files
from manifest_auth.api.client import identities as client_identities
from manifest_auth.api.client import one_time_links as client_one_time_links
from manifest_auth.api.client import passkeys as client_passkeys
from manifest_auth.api.client import profile as client_profile
from manifest_auth.api.client import reauthentication as client_reauthentication
from manifest_auth.api.client import second_factors as client_second_factors
from manifest_auth.api.client import settings as client_settings
from manifest_auth.api.graphql import routes as graphql_routes
from manifest_auth.errors import Refusal
from manifest_auth.http import Answer, Head, docs_site
from manifest_auth.pages import brands, errors
from manifest_auth.pages.sign_in import single_sign_on as browser_single_sign_on
from manifest_auth.protocols.oauth.metadata import PREFIX
from manifest_auth.services import RequestContext

ROUTES = (
    *client_auth.ROUTES,
    *client_identities.SIGN_IN_ROUTES,
    *browser_single_sign_on.ROUTES,
    *client_identities.IDENTITY_ROUTES,
    *client_one_time_links.LINK_ROUTES,
    *client_one_time_links.START_ROUTES,
    *client_profile.EMAIL_ROUTES,
    *client_directory_proof.ROUTES,
    *graphql_routes.GRAPHQL_ROUTES,
    *graphql_routes.EXPLORER_ROUTES,
    *client_files.ROUTES,
    *client_audit.ROUTES,
    *client_profile.PROFILE_ROUTES,
    *client_second_factors.CHALLENGE_ROUTES,
    *client_second_factors.FACTOR_ROUTES,
    *client_passkeys.ROUTES,
    *client_reauthentication.ROUTES,
    *client_devices.BADGE_ROUTES,
    *client_devices.PAIRING_ROUTES,
    *client_settings.ROUTES,
    *admin_auth.SESSION_ROUTES,
    *admin_clients.CLIENT_ROUTES,
    *admin_users.USER_ROUTES,
    *admin_providers.ROUTES,
    *admin_claims.DOMAIN_ROUTES,
    *admin_claims.DIRECTORY_ROUTES,
    *admin_claims.PIN_ROUTES,
    *admin_service_accounts.ROUTES,
    *admin_devices.BADGE_ROUTES,
    *admin_devices.SHARED_DEVICE_ROUTES,
    *admin_devices.DEVICE_APP_ROUTES,
    *admin_users.IDENTITY_ROUTES,
    *admin_clients.SESSION_ROUTES,
    *admin_clients.BRAND_ROUTES,
    *admin_auth.OWN_ACCOUNT_ROUTES,
    *admin_admins.ROUTES,
    *admin_installation.KEY_ROUTES,
    *admin_installation.THROTTLE_ROUTES,
    *admin_installation.INSTALLATION_ROUTES,
    *admin_installation.LICENCE_ROUTES,
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
