"""URLs of the site: the package's own, Django's sign-in page, and the changes that tests make."""

# mypy: ignore-errors
from __future__ import annotations

import json

from django.contrib.auth.models import Group, User
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt
from djangosaml2idp.models import ServiceProvider

_ATTRIBUTES = {"email": "email", "first_name": "firstName", "last_name": "lastName", "username": "uid"}


@csrf_exempt
def put_person(request: HttpRequest) -> HttpResponse:
    """Store a person: login, names, email address, password, and groups."""
    given = json.loads(request.body)
    groups, password = given.pop("groups"), given.pop("password")
    user, created = User.objects.update_or_create(username=given.pop("login"), defaults=given)
    if created:
        user.set_password(password)
        user.save()
    user.groups.set([Group.objects.get_or_create(name=name)[0] for name in groups])
    return HttpResponse(status=204)


@csrf_exempt
def put_service_provider(request: HttpRequest) -> HttpResponse:
    """Store a service provider: ``entity`` and ``metadata``, and any field of the package's model."""
    given = json.loads(request.body)
    fields = {
        "local_metadata": given.pop("metadata"),
        "_processor": "idp_processor.WithGroups",
        "_attribute_mapping": json.dumps(_ATTRIBUTES),
        **given,
    }
    entity = fields.pop("entity")
    ServiceProvider.objects.filter(entity_id=entity).delete()
    ServiceProvider(entity_id=entity, pretty_name=entity, **fields).save()
    return HttpResponse(status=204)


urlpatterns = [
    path("idp/", include("djangosaml2idp.urls", namespace="djangosaml2idp")),
    path("login/", LoginView.as_view()),
    path("operator/person", put_person),
    path("operator/service-provider", put_service_provider),
]
