"""Schemas of SCIM that the service announces, with its configuration (``scim2-models``)."""

from __future__ import annotations

from typing import Final

from scim2_models import (
    AuthenticationScheme,
    Bulk,
    ChangePassword,
    ETag,
    Filter,
    Pagination,
    Patch,
    ResourceType,
    Schema,
    ScimPolicy,
    ScimProvider,
    ServiceProviderConfig,
    Sort,
)
from scim2_server.utils import load_json_resource

from manifest_auth.text.canonical import email_key

MOST_IN_BULK = 100
DEFAULT_COUNT, MOST_COUNT = 100, 200
MOST_BODY: Final = 1024 * 1024
_CONFIG = ServiceProviderConfig(
    patch=Patch(supported=True),
    bulk=Bulk(supported=True, max_operations=MOST_IN_BULK, max_payload_size=MOST_BODY),
    filter=Filter(supported=True, max_results=MOST_COUNT),
    change_password=ChangePassword(supported=False),
    sort=Sort(supported=False),
    etag=ETag(supported=True),
    pagination=Pagination(
        cursor=False,
        index=True,
        default_pagination_method=Pagination.DefaultPaginationMethod.index,
        default_page_size=DEFAULT_COUNT,
        max_page_size=MOST_COUNT,
    ),
    authentication_schemes=[
        AuthenticationScheme(
            type=AuthenticationScheme.Type.oauthbearertoken,
            name="Token of a SCIM connection",
            description="A bearer token (RFC 6750) that an administrator creates with the connection",
            primary=True,
        )
    ],
)
_POLICY = ScimPolicy(
    unknown=ScimPolicy.Unknown.ignore,
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
    comparison_key=lambda binding, value: value if binding.case_exact else email_key(value),
)


def _provider() -> ScimProvider:
    """Creates the models from the schemas of RFC 7643, without passwords."""
    described = load_json_resource("default-schemas.json")
    for one in described:
        one["attributes"] = [attribute for attribute in one["attributes"] if attribute["name"] != "password"]
    schemas = [Schema.model_validate(one) for one in described]
    types = [ResourceType.model_validate(one) for one in load_json_resource("default-resource-types.json")]
    return ScimProvider.from_discovery(schemas, types, config=_CONFIG, policy=_POLICY)


PROVIDER = _provider()
