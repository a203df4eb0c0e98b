"""Causes every audit event of shared devices, badges, and PINs once."""

from __future__ import annotations

from manifest_auth.audit import Event
from tests.audit.event_causes import Story
from tests.support.accounts import settle, trail
from tests.support.badges import ENROL, OWN_PIN, PIN, WRONG, BadgeClient, Enrolled
from tests.support.people import member
from tests.support.rows import delete_rows


async def badges(story: Story) -> None:
    app, expects, client = story.app, story.expects, story.team.client
    await settle(app, client, badge={"enabled": True})
    factory = BadgeClient(app, client, await member(app, client, "Admin"))
    root, ada = f"user:{factory.admin.id}", await member(app, client, "Operator")
    me, unused = f"user:{ada.id}", await factory.code()
    async with expects(Event.DEVICE_ENROLMENT_DROPPED, root, f"enrolment:{unused['id']}"):
        await factory.do("DELETE", f"/devices/enrolments/{unused['id']}")
    code = (await factory.code())["code"]
    begun = [one for one in await trail(app, client) if one.event == Event.DEVICE_ENROLMENT_BEGUN.value]
    assert {one.actor for one in begun} == {root}
    assert f"enrolment:{unused['id']}" in {one.subject for one in begun}
    story.seen.add(Event.DEVICE_ENROLMENT_BEGUN)  # its subject is created with it
    made = (await app.post(ENROL, {"code": code})).data
    [enrolled] = [one for one in await trail(app, client) if one.event == Event.DEVICE_ENROLLED.value]
    assert (enrolled.actor, enrolled.subject) == ("anonymous", f"device:{made['deviceId']}")
    story.seen.add(Event.DEVICE_ENROLLED)  # the device is created with it
    kiosk = Enrolled(app, made["deviceId"], made["deviceToken"])
    async with expects(Event.BADGE_ISSUED, root, me):
        badge = await factory.badge(ada.id)
    async with expects(Event.BADGE_PIN_RESET, root, me):
        await factory.temporary(ada.id)
    async with expects(Event.BADGE_PIN_SET, me, me):
        await app.post(OWN_PIN, {"pin": PIN}, token=ada.token)
    async with expects(Event.BADGE_PIN_DEAD, "anonymous", me):
        for _ in range(10):
            await kiosk.sign_in(badge["badge"], WRONG)
            await delete_rows(app, "throttles")
    async with expects(Event.BADGE_ENDED, root, me):
        await factory.do("DELETE", f"/users/{ada.id}/badges/{badge['id']}")
    async with expects(Event.DEVICE_REMOVED, root, f"device:{kiosk.id}"):
        await factory.do("DELETE", f"/devices/{kiosk.id}")
