import type { components, paths } from "./wire.js";

export type { components, operations, paths } from "./wire.js";

/** Codes of the server, and `INVALID_ANSWER` where an answer was not the server's. */
export type Code = components["schemas"]["Failure"]["error"]["code"] | "BAD_USER_INPUT" | "INVALID_ANSWER";

/** `data` of the answer of a route: `Data<"/api/client/auth/me", "get">`. */
export type Data<Path extends keyof paths, Method extends keyof paths[Path]> = paths[Path][Method] extends {
  responses: infer Answers;
}
  ? { [Status in keyof Answers]: Answers[Status] extends { content: { "application/json": { success: true; data: infer D } } } ? D : never }[keyof Answers]
  : never;

/** What is sent to a route: `Body<"/api/client/auth/sign-in", "post">`. */
export type Body<Path extends keyof paths, Method extends keyof paths[Path]> = paths[Path][Method] extends {
  requestBody: { content: { "application/json": infer B } };
}
  ? B
  : never;

/** A refusal of the server. */
export class ManifestAuthError extends Error {
  readonly name: string;
  readonly code: Code;
  readonly status: number;
  /** Each member that is to blame, or that can continue. */
  readonly details: { field: string; message: string }[];
  /** Also in the server's log. */
  readonly requestId: string;
  /** Seconds, where the server says so. */
  readonly retryAfter: number | null;
  /** Of GraphQL: all errors, and what data there is. */
  readonly errors?: { message: string; path?: unknown[]; extensions: Record<string, unknown> }[];
  readonly data?: Record<string, unknown> | null;
}

/** A second factor is due. */
export class MfaRequired extends ManifestAuthError {
  readonly challenge: string;
  /** Life of the challenge, seconds. */
  readonly expiresIn: number;
  /** Where a factor has to be set up first: those allowed. */
  readonly methods: string[];
  /** Goes on with one of the members that `details` name: `{otp: "492039"}`. */
  continueWith(answer: SecondFactor): Promise<SignedIn>;
  /** Begins to set up the factor that is due. */
  enrol(method: "totp" | "passkey"): Promise<Data<"/api/client/auth/sign-in/enrol", "post">>;
}

export type SecondFactor = Omit<Body<"/api/client/auth/sign-in/continue", "post">, "challenge">;
/** The answer of a sign-in without its tokens. */
export type SignedIn = Omit<Data<"/api/client/auth/sign-in", "post">, "token" | "refreshToken" | "expiresIn">;

/** What a store keeps. Times in milliseconds since 1970. */
export interface Tokens {
  token: string;
  refreshToken: string;
  expiresAt: number;
  renewAt: number;
}

/** Where tokens are kept. */
export interface TokenStore {
  load(): Promise<Tokens | null>;
  /**
   * Keeps tokens; null: there is no session any more. `replaces`: the refresh token that they follow. A store that holds
   * another one by now may resolve to false and keep that: it is loaded and adopted.
   */
  save(tokens: Tokens | null, options: { replaces?: string }): Promise<void | boolean>;
  /** Runs `act` while no one else runs one with this store. */
  lock?<T>(act: () => Promise<T>): Promise<T>;
  /** Told when another tab has changed what is kept. */
  watch?(tell: (tokens: Tokens | null) => void): void;
  close?(): void;
}

export interface Options {
  /** The server's address. In a page it may be relative to the page. */
  baseUrl: string | URL;
  /** Identifier of the client (tenant), for signing in. */
  client?: string;
  /** `cookie`: for pages of the same site, no token in JavaScript. `bearer`: tokens, for everything else. */
  mode: "cookie" | "bearer";
  /** Of mode `bearer`. In pages, by default: memory that all tabs of the origin share; elsewhere memory. */
  store?: TokenStore;
  /** Further origins that get the token. */
  origins?: (string | URL)[];
  /** In place of the global one. */
  fetch?: typeof globalThis.fetch;
  /**
   * Called when the session has ended without `signOut` here: with null where another tab of this origin signed out, in
   * mode `bearer` also with the server's refusal.
   */
  onSessionOver?(error: ManifestAuthError | null): void;
}

export interface Client {
  /**
   * `fetch` with the session's credential; addresses are relative to the base URL. The token is renewed 30 seconds
   * before its end (a short-lived one after half of its life), or after a 401 `TOKEN_EXPIRED` or `INVALID_TOKEN`; then
   * the request is sent again once, if its body can be: a stream cannot. A 401 that remains is a `ManifestAuthError`;
   * any other answer is given as it is.
   */
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>;
  /** One call of the API: `data` of the answer, or a `ManifestAuthError`. */
  call<T = unknown>(method: string, path: string, body?: unknown, init?: RequestInit): Promise<T>;
  /** `data` of a GraphQL query. Errors are raised, with `errors` and `data`. */
  graphql<T = Record<string, unknown>>(query: string, variables?: Record<string, unknown>): Promise<T>;
  /** Raises `MfaRequired` where a second factor is due. */
  signIn(body: Body<"/api/client/auth/sign-in", "post">): Promise<SignedIn>;
  continueSignIn(challenge: string, answer: SecondFactor): Promise<SignedIn>;
  enrol(challenge: string, method: "totp" | "passkey"): Promise<Data<"/api/client/auth/sign-in/enrol", "post">>;
  /** Signs in with the one-time code of a sign-in at a provider. */
  exchange(code: string, codeVerifier?: string): Promise<SignedIn>;
  me(): Promise<Data<"/api/client/auth/me", "get">>;
  /** Whether there is a session, as far as is known here. Undefined in mode `cookie`: the server alone knows. */
  isSignedIn(): Promise<boolean | undefined>;
  /** Renews the tokens now. Nothing in mode `cookie`. */
  refresh(): Promise<void>;
  /** Ends the session at the server, and forgets it here. */
  signOut(): Promise<void>;
  /** Gives back what it shares with other tabs. */
  close(): void;
}

export function createClient(options: Options): Client;

/** Memory of this program alone: a page with it shares its session with no other tab. */
export function memoryStore(tokens?: Tokens | null): TokenStore;
