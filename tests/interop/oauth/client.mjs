// Drives oauth4webapi, unmodified, as a machine that gets tokens; prints what it found as one JSON object.
import * as oauth from "oauth4webapi";

const given = JSON.parse(process.env.GIVEN);
const insecure = { [oauth.allowInsecureRequests]: true }; // loopback has no https
const issuer = new URL(given.issuer);
const server = await oauth.processDiscoveryResponse(
  issuer,
  await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...insecure }),
);
const client = { client_id: given.clientId };
const algorithm = given.algorithm === "ES256" ? { name: "ECDSA", namedCurve: "P-256" }
  : { name: given.algorithm === "PS256" ? "RSA-PSS" : "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
const auth = given.secret
  ? oauth.ClientSecretBasic(given.secret)
  : oauth.PrivateKeyJwt({
      key: await crypto.subtle.importKey("jwk", given.key, algorithm, false, ["sign"]),
      kid: given.kid,
    });

const asked = new URLSearchParams(given.scope ? { scope: given.scope, resource: given.issuer } : {});
const tokens = await oauth.processClientCredentialsResponse(
  server, client, await oauth.clientCredentialsGrantRequest(server, client, auth, asked, insecure),
);
const shown = new Request(given.issuer, { headers: { authorization: `Bearer ${tokens.access_token}` } });
const claims = await oauth.validateJwtAccessToken(server, shown, given.issuer, insecure);

async function introspect() {
  const answer = await oauth.introspectionRequest(server, client, auth, tokens.access_token, insecure);
  return oauth.processIntrospectionResponse(server, client, answer);
}
const before = await introspect();
const call = () => fetch(`${given.issuer}/api/client/auth/me`, { headers: { authorization: `Bearer ${tokens.access_token}` } });
const used = (await call()).status;
await oauth.processRevocationResponse(
  await oauth.revocationRequest(server, client, auth, tokens.access_token, insecure),
);
console.log(JSON.stringify({ server, tokens, claims, before, used, after: await introspect(), then: (await call()).status }));
