"""Causes every audit event of devices that users approve once."""

from __future__ import annotations

from manifest_auth.audit import Event
from tests.audit.event_causes import Story
from tests.support.headsets import Headset, wearer

HERE = "192.0.2.1"  # no proxy is configured


async def devices(story: Story) -> None:
    app, expects, client = story.app, story.expects, story.team.client
    ada = await wearer(app, client=client)
    me, headset = f"user:{ada.who.id}", Headset(app, f"manifest.{client}", HERE)
    async with expects(Event.PAIRING_BEGUN, me, me):
        pairing = await ada.begin()
    async with expects(Event.PAIRING_CLAIMED, "anonymous", me):
        shown = await headset.scan(pairing["qr"])
    async with expects(Event.DEVICE_APPROVED, me, me):
        await ada.approve(pairing, shown["match"])
    await headset.tokens()
    app.clock.advance(11)
    async with expects(Event.DEVICE_CODE_REUSED, "anonymous", me):
        await headset.poll()
    pairing = await ada.begin()
    await headset.scan(pairing["qr"])
    async with expects(Event.DEVICE_DENIED, me, me):
        await ada.send("POST", f"/pairings/{pairing['id']}/deny")
