// Drives oauth4webapi, unmodified, as an app: prints the address to go to, reads the one to which the browser came
// back, and prints what it got as one JSON object. Then it waits, if told so, until its access token is dead.
import { createInterface } from "node:readline/promises";
import * as oauth from "oauth4webapi";

const given = JSON.parse(process.env.GIVEN);
const insecure = { [oauth.allowInsecureRequests]: true }; // loopback has no https
const issuer = new URL(given.issuer);
const discover = async (algorithm) =>
  oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm, ...insecure }));
const server = await discover("oidc");
const same = JSON.stringify(await discover("oauth2")) === JSON.stringify(server);
const client = { client_id: given.clientId };
const auth = !given.secret ? oauth.None() : given.post ? oauth.ClientSecretPost(given.secret) : oauth.ClientSecretBasic(given.secret);

const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
const nonce = oauth.generateRandomNonce();
const start = new URL(server.authorization_endpoint);
start.search = new URLSearchParams({
  client_id: given.clientId, redirect_uri: given.callback, response_type: "code", scope: given.scope, state, nonce,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256",
}).toString();
console.log(start.href);

const [line] = await createInterface(process.stdin)[Symbol.asyncIterator]().next().then((read) => [read.value]);
const parameters = oauth.validateAuthResponse(server, client, new URL(line), state);
const answer = await oauth.authorizationCodeGrantRequest(server, client, auth, parameters, given.callback, verifier, insecure);
const tokens = await oauth.processAuthorizationCodeResponse(server, client, answer, {
  expectedNonce: nonce, requireIdToken: true,
});
await oauth.validateApplicationLevelSignature(server, answer, insecure); // of the ID token, by the published keys
const claims = oauth.getValidatedIdTokenClaims(tokens);
const userinfo = await oauth.processUserInfoResponse(
  server, client, claims.sub, await oauth.userInfoRequest(server, client, tokens.access_token, insecure),
);
const found = { same, tokens, claims, userinfo };
if (tokens.refresh_token) {
  const again = await oauth.refreshTokenGrantRequest(server, client, auth, tokens.refresh_token, insecure);
  found.refreshed = await oauth.processRefreshTokenResponse(server, client, again);
  const access = found.refreshed.access_token;
  if (given.secret) {
    const introspect = async () =>
      oauth.processIntrospectionResponse(server, client, await oauth.introspectionRequest(server, client, auth, access, insecure));
    found.before = await introspect();
    await oauth.processRevocationResponse(
      await oauth.revocationRequest(server, client, auth, found.refreshed.refresh_token, insecure),
    );
    found.after = await introspect();
  }
}
console.log(JSON.stringify(found));
for (let status = 200; given.waits; await new Promise((done) => setTimeout(done, 50))) {
  status = (await oauth.userInfoRequest(server, client, tokens.access_token, insecure)).status;
  if (status !== 200) {
    console.log(status);
    break;
  }
}
process.exit(0);
