import type { components, paths } from "./wire.js";

export type { components, operations, paths } from "./wire.js";

/** Error codes of the server, and `INVALID_ANSWER` if a response isn't from the server. */
export type Code = components["schemas"]["Failure"]["error"]["code"] | "BAD_USER_INPUT" | "INVALID_ANSWER";

/** `data` of the response of a route: `Data<"/api/client/auth/me", "get">`. */
export type Data<Path extends keyof paths, Method extends keyof paths[Path]> = paths[Path][Method] extends {
  responses: infer Answers;
}
  ? { [Status in keyof Answers]: Answers[Status] extends { content: { "application/json": { success: true; data: infer D } } } ? D : never }[keyof Answers]
  : never;

/** Request body of a route: `Body<"/api/client/auth/sign-in", "post">`. */
export type Body<Path extends keyof paths, Method extends keyof paths[Path]> = paths[Path][Method] extends {
  requestBody: { content: { "application/json": infer B } };
}
  ? B
  : never;

/** An error response of the server. */
export class ManifestAuthError extends Error {
  readonly name: string;
  readonly code: Code;
  readonly status: number;
  /** Each invalid member, or each member that can continue. */
  readonly details: { field: string; message: string }[];
  /** The request ID, also in the server's log. */
  readonly requestId: string;
  /** Seconds to wait, if the server sends them. */
  readonly retryAfter: number | null;
  /** GraphQL only: all errors, and the available data. */
  readonly errors?: { message: string; path?: unknown[]; extensions: Record<string, unknown> }[];
  readonly data?: Record<string, unknown> | null;
}

/** A second factor is required. */
export class MfaRequired extends ManifestAuthError {
  readonly challenge: string;
  /** Lifetime of the challenge, seconds. */
  readonly expiresIn: number;
  /** If a factor must be set up first: the allowed methods. */
  readonly methods: string[];
  /** Continues with one of the members that `details` names: `{otp: "492039"}`. */
  continueWith(answer: SecondFactor): Promise<SignedIn>;
  /** Starts to set up the required factor. */
  enrol(method: "totp" | "passkey"): Promise<Data<"/api/client/auth/sign-in/enrol", "post">>;
}

export type SecondFactor = Omit<Body<"/api/client/auth/sign-in/continue", "post">, "challenge">;
/** The response of a sign-in, without its tokens. */
export type SignedIn = Omit<Data<"/api/client/auth/sign-in", "post">, "token" | "refreshToken" | "expiresIn">;

/** The content of a store. Times are milliseconds since 1970. */
export interface Tokens {
  token: string;
  refreshToken: string;
  expiresAt: number;
  renewAt: number;
}

/** Stores the tokens. */
export interface TokenStore {
  load(): Promise<Tokens | null>;
  /**
   * Saves tokens; null: there is no longer a session. `replaces`: the refresh token that they replace. If the store has a
   * different one by now, it can resolve to false and keep it: the client then loads and uses it.
   */
  save(tokens: Tokens | null, options: { replaces?: string }): Promise<void | boolean>;
  /** Runs `act` exclusively: only one at a time with this store. */
  lock?<T>(act: () => Promise<T>): Promise<T>;
  /** Called when another tab changed the content. */
  watch?(tell: (tokens: Tokens | null) => void): void;
  close?(): void;
}

export interface Options {
  /** The server's URL. In a page, it can be relative to the page. */
  baseUrl: string | URL;
  /** Identifier of the client (tenant), for sign-in. */
  client?: string;
  /** `cookie`: for pages of the same site, without tokens in JavaScript. `bearer`: tokens, for everything else. */
  mode: "cookie" | "bearer";
  /** Only for mode `bearer`. Default: in pages, memory that all tabs of the origin share; otherwise, memory. */
  store?: TokenStore;
  /** Additional origins that get the token. */
  origins?: (string | URL)[];
  /** Used instead of the global one. */
  fetch?: typeof globalThis.fetch;
  /**
   * Called when the session ended without `signOut` here. The error is null if another tab of this origin signed out. In
   * mode `bearer`, it can also be the server's error.
   */
  onSessionOver?(error: ManifestAuthError | null): void;
}

export interface Client {
  /**
   * `fetch` with the session's credential. URLs are relative to the base URL. The token is refreshed 30 seconds before it
   * expires (a short-lived one after half of its lifetime), or after a 401 `TOKEN_EXPIRED` or `INVALID_TOKEN`. The
   * request is then sent again once, unless its body is a stream. If the response is still 401, it throws a
   * `ManifestAuthError`. Any other response is returned unchanged.
   */
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>;
  /** Calls the API. Returns `data` of the response, or throws a `ManifestAuthError`. */
  call<T = unknown>(method: string, path: string, body?: unknown, init?: RequestInit): Promise<T>;
  /** Returns `data` of a GraphQL query. Throws errors with `errors` and `data`. */
  graphql<T = Record<string, unknown>>(query: string, variables?: Record<string, unknown>): Promise<T>;
  /** Throws `MfaRequired` if a second factor is required. */
  signIn(body: Body<"/api/client/auth/sign-in", "post">): Promise<SignedIn>;
  continueSignIn(challenge: string, answer: SecondFactor): Promise<SignedIn>;
  enrol(challenge: string, method: "totp" | "passkey"): Promise<Data<"/api/client/auth/sign-in/enrol", "post">>;
  /** Signs in with the one-time code of a sign-in at a provider. */
  exchange(code: string, codeVerifier?: string): Promise<SignedIn>;
  me(): Promise<Data<"/api/client/auth/me", "get">>;
  /** Whether there is a session, as far as the client knows. Undefined in mode `cookie`: only the server knows. */
  isSignedIn(): Promise<boolean | undefined>;
  /** Refreshes the tokens now. Does nothing in mode `cookie`. */
  refresh(): Promise<void>;
  /** Ends the session on the server, and deletes it here. */
  signOut(): Promise<void>;
  /** Releases what it shares with other tabs. */
  close(): void;
}

export function createClient(options: Options): Client;

/** Memory of this program only: a page doesn't share its session with other tabs. */
export function memoryStore(tokens?: Tokens | null): TokenStore;
