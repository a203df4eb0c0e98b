// Drives oauth4webapi, unmodified, as the app of a headset; its person approves in between. Prints what it found.
import * as oauth from "oauth4webapi";

const given = JSON.parse(process.env.GIVEN);
const insecure = { [oauth.allowInsecureRequests]: true }; // loopback has no https
const issuer = new URL(given.issuer);
const server = await oauth.processDiscoveryResponse(
  issuer,
  await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...insecure }),
);
const client = { client_id: given.clientId }, none = oauth.None();
const asked = await oauth.processDeviceAuthorizationResponse(
  server, client, await oauth.deviceAuthorizationRequest(server, client, none, { device_name: "Quest 3" }, insecure),
);

async function poll() {
  return oauth.processDeviceCodeResponse(
    server, client, await oauth.deviceCodeGrantRequest(server, client, none, asked.device_code, insecure),
  );
}
const pending = await poll().then(() => "", (refused) => refused.error);
const approved = await fetch(`${given.issuer}/api/client/auth/devices/approve`, {
  method: "POST",
  headers: { authorization: `Bearer ${given.person}`, "content-type": "application/json" },
  body: JSON.stringify({ userCode: asked.user_code }),
});
const tokens = await poll();
const renewed = await oauth.processRefreshTokenResponse(
  server, client, await oauth.refreshTokenGrantRequest(server, client, none, tokens.refresh_token, insecure),
);
const call = async () => {
  const answer = await fetch(`${given.issuer}/api/client/auth/me`, { headers: { authorization: `Bearer ${renewed.access_token}` } });
  return { status: answer.status, data: (await answer.json()).data };
};
const before = await call();
await oauth.processRevocationResponse(
  await oauth.revocationRequest(server, client, none, renewed.refresh_token, insecure),
);
console.log(JSON.stringify({ asked, pending, approved: approved.status, tokens, renewed, before, then: (await call()).status }));
