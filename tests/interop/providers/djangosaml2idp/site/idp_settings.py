"""Django settings of a small site that only contains the package's identity provider."""

from __future__ import annotations

import os
from pathlib import Path

STATE = Path(os.environ["PROVIDER_STATE"])
PORT = int(os.environ["PROVIDER_PORT"])
BASE = f"http://127.0.0.1:{PORT}"
_BINDINGS = "urn:oasis:names:tc:SAML:2.0:bindings:"
_NAME_IDS = "urn:oasis:names:tc:SAML:1.1:nameid-format:"

SECRET_KEY = "the key of a site that lives as long as a test"
ALLOWED_HOSTS = ["127.0.0.1"]
USE_TZ = True
ROOT_URLCONF = "idp_urls"
LOGIN_URL = "/login/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # fast, as Django recommends for tests
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "djangosaml2idp",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(STATE / "site.db")}}
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [str(Path(__file__).parent)],
        "APP_DIRS": True,
    }
]
SAML_IDP_FALLBACK_EXPIRATION_DAYS = 30
SAML_IDP_CONFIG = {
    "debug": 0,
    "xmlsec_binary": os.environ["PROVIDER_XMLSEC"],
    "entityid": f"{BASE}/idp/metadata/",
    "key_file": os.environ["PROVIDER_KEY"],
    "cert_file": os.environ["PROVIDER_CERTIFICATE"],
    "encryption_keypairs": [],
    "valid_for": 24,
    "service": {
        "idp": {
            "name": "Directory of the Looking-Glass company",
            "name_id_format": [
                f"{_NAME_IDS}unspecified",
                f"{_NAME_IDS}emailAddress",
                "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
            ],
            "want_authn_requests_signed": bool(os.environ.get("PROVIDER_WANTS_SIGNED_REQUESTS")),
            "endpoints": {
                "single_sign_on_service": [
                    (f"{BASE}/idp/sso/post/", f"{_BINDINGS}HTTP-POST"),
                    (f"{BASE}/idp/sso/redirect/", f"{_BINDINGS}HTTP-Redirect"),
                ],
            },
            "policy": {
                "default": {
                    "lifetime": {"minutes": 5},
                    "name_form": "urn:oasis:names:tc:SAML:2.0:attrname-format:basic",
                }
            },
        }
    },
}
