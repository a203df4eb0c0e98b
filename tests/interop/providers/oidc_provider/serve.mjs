// Starts the package oidc-provider with the clients and people of a state file. The file is read anew for every person,
// so that what changes there counts at the next sign-in. Keys are made at each start.
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import Provider from 'oidc-provider'

const { PROVIDER_PORT, PROVIDER_STATE, PROVIDER_CLAIMS_IN_ID_TOKEN } = process.env
const state = () => JSON.parse(readFileSync(PROVIDER_STATE, 'utf8'))
const { clients, redirectUris } = state()

const makers = {
  R: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  P: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  E: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  EdDSA: () => generateKeyPairSync('ed25519'),
}
const algorithms = clients.map((client) => client.algorithm)
const keys = algorithms.map((alg) => {
  const { privateKey } = (makers[alg] ?? makers[alg[0]])()
  return { ...privateKey.export({ format: 'jwk' }), alg, use: 'sig' }
})

const provider = new Provider(`http://127.0.0.1:${PROVIDER_PORT}`, {
  clients: clients.map(({ id, secret, algorithm }) => ({
    client_id: id,
    client_secret: secret,
    id_token_signed_response_alg: algorithm,
    redirect_uris: redirectUris,
    grant_types: ['authorization_code'],
    response_types: ['code'],
  })),
  jwks: { keys },
  enabledJWA: { idTokenSigningAlgValues: algorithms },
  cookies: { keys: ['a key for the cookies of a test'] },
  claims: {
    openid: ['sub'],
    email: ['email', 'email_verified'],
    profile: ['name', 'given_name', 'family_name'],
    groups: ['groups'],
  },
  scopes: ['openid', 'profile', 'email', 'groups'],
  conformIdTokenClaims: !PROVIDER_CLAIMS_IN_ID_TOKEN,
  pkce: { required: () => true },
  features: { devInteractions: { enabled: true } },
  findAccount(ctx, sub) {
    const claims = state().people[sub]
    return claims && { accountId: sub, claims: () => ({ sub, ...claims }) }
  },
})
// What is registered may change while it runs. It still counts character by character.
provider.Client.prototype.redirectUriAllowed = (uri) => state().redirectUris.includes(uri)
provider.on('server_error', (ctx, error) => console.error(error))
provider.listen(Number(PROVIDER_PORT), '127.0.0.1')
