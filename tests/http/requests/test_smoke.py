"""The application responds to a first request."""

from tests.support.application import App


async def test_sign_in_me_refresh_sign_out(app: App) -> None:
    signed_in = (await app.sign_in()).data
    assert (await app.me(signed_in["token"])).data["user"]["email"] == "author@acme.example"
    again = (await app.refresh(signed_in["refreshToken"])).data
    third = (await app.refresh(again["refreshToken"])).data
    assert (await app.graphql("{ users { id email } }", third["token"])).json["data"]["users"]
    assert (await app.post("/api/client/auth/sign-out", token=third["token"])).data == {}
    assert (await app.me(signed_in["token"])).code == "INVALID_TOKEN"
