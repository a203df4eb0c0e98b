// The client of a Manifest Auth server, for browsers and Node.js.
import { MfaRequired, refusal, refused } from "./errors.js";
import { Session, tokensOf } from "./session.js";
import { hasTabs, memoryStore, signOuts, tabStore } from "./stores.js";

export { ManifestAuthError, MfaRequired } from "./errors.js";
export { memoryStore } from "./stores.js";

const AUTH = "/api/client/auth";
/** Codes of a 401 that say: this credential opens nothing. */
const CLOSED = new Set(["UNAUTHENTICATED", "TOKEN_EXPIRED", "INVALID_TOKEN"]);
const isAgain = (body) =>
  body == null || typeof body === "string" || body instanceof ArrayBuffer || ArrayBuffer.isView(body) ||
  body instanceof Blob || body instanceof FormData || body instanceof URLSearchParams;

/** Firefox has no `body` of a request. */
const isEmpty = ({ body, method }) => body === null || method === "GET" || method === "HEAD";

/** A client. Its options and methods are described in `index.d.ts`. */
export const createClient = (options) => new Client(options);

class Client {
  #base;
  #origins;
  #http;
  #client;
  #store = null;
  #session = null;
  #tabs = null; // of mode cookie
  #tell;

  constructor({ baseUrl, client, mode, store, origins = [], fetch, onSessionOver }) {
    if (mode !== "cookie" && mode !== "bearer") throw new TypeError('mode is "cookie" or "bearer"');
    if (store && mode === "cookie") throw new TypeError('a store is for mode "bearer"');
    this.#base = new URL(baseUrl, globalThis.location?.href);
    this.#origins = new Set([this.#base, ...origins].map((each) => new URL(each).origin));
    this.#http = (...given) => (fetch ?? globalThis.fetch)(...given);
    this.#client = client;
    this.#tell = (error) => onSessionOver?.(error);
    if (mode === "cookie") {
      this.#tabs = signOuts(this.#base.href, () => this.#tell(null));
      return;
    }
    const name = `manifest-auth ${this.#base.href} ${client ?? ""}`;
    this.#store = store ?? (hasTabs() ? tabStore(name) : memoryStore());
    if (store && !store.lock && hasTabs()) {
      this.#store = { load: () => store.load(), save: (...given) => store.save(...given),
        lock: (act) => navigator.locks.request(name, act) };
    }
    const send = (refreshToken, signal) => this.#post("/refresh", { refreshToken }, { signal });
    this.#session = new Session(this.#store, send, this.#tell);
  }

  async fetch(input, init = {}) {
    const isRequest = input instanceof Request;
    const url = new URL(isRequest ? input.url : input, this.#base);
    const headers = new Headers(init.headers ?? (isRequest ? input.headers : undefined));
    if (!this.#origins.has(url.origin) || headers.has("authorization")) {
      return this.#http(isRequest ? input : url, init);
    }
    const token = await this.#session?.token();
    let response = await this.#send(isRequest ? input : url, init, headers, token);
    let error = await this.#closed(response);
    if (error && token && error.code !== "UNAUTHENTICATED") {
      const fresh = await this.#session.token(token);
      if (fresh && (isRequest && init.body === undefined ? isEmpty(input) : isAgain(init.body))) {
        response = await this.#send(isRequest ? input : url, init, headers, fresh);
        error = await this.#closed(response);
      }
    }
    if (error) throw error;
    return response;
  }

  #send(target, init, given, token) {
    const headers = new Headers(given);
    if (token) headers.set("authorization", `Bearer ${token}`);
    const credentials = init.credentials ?? (this.#session ? "omit" : "include");
    return this.#http(target, { ...init, headers, credentials });
  }

  /** The refusal of an answer of ours that says that the credential opens nothing. */
  async #closed(response) {
    if (response.status !== 401 || (response.url && !this.#origins.has(new URL(response.url).origin))) return null;
    const error = await refusal(response);
    if (!CLOSED.has(error.code)) return null;
    await response.body?.cancel(); // no one reads it
    return error;
  }

  async call(method, path, body, init = {}) {
    const headers = new Headers(init.headers);
    if (body !== undefined) headers.set("content-type", "application/json");
    const json = body === undefined ? undefined : JSON.stringify(body);
    return dataOf(await this.fetch(path, { ...init, method, headers, body: json }));
  }

  async graphql(query, variables) {
    const response = await this.fetch("/api/client/graphql", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query, variables }),
    });
    const answer = await response.json().catch(unreadable);
    if (!response.ok || !answer.data || answer.errors) {
      throw refused(answer.errors?.[0] ?? answer.error, response, answer);
    }
    return answer.data;
  }

  signIn(body) {
    return this.#signedIn("/sign-in", body);
  }

  continueSignIn(challenge, answer) {
    return this.#signedIn("/sign-in/continue", { ...answer, challenge });
  }

  enrol(challenge, method) {
    return this.#post("/sign-in/enrol", { challenge, method });
  }

  exchange(code, codeVerifier) {
    return this.#signedIn("/exchange", { code, codeVerifier });
  }

  me() {
    return this.call("GET", `${AUTH}/me`);
  }

  async isSignedIn() {
    return this.#session ? this.#session.isOpen() : undefined;
  }

  async refresh() {
    await this.#session?.token(await this.#session.token());
  }

  /** Ends the session at the server, and forgets it here. A session that is over already is no failure. */
  async signOut() {
    try {
      if (!this.#session || (await this.#session.isOpen())) await this.call("POST", `${AUTH}/sign-out`);
    } catch (error) {
      if (!CLOSED.has(error.code)) throw error;
    }
    await this.#session?.put(null);
    this.#tabs?.postMessage("signed out");
  }

  close() {
    this.#tabs?.close();
    this.#store?.close?.();
  }

  async #signedIn(path, body) {
    try {
      const { token, refreshToken, expiresIn, ...told } = await this.#post(path, body);
      await this.#session?.put(tokensOf({ token, refreshToken, expiresIn }));
      return told;
    } catch (error) {
      if (error instanceof MfaRequired) {
        error.continueWith = (answer) => this.continueSignIn(error.challenge, answer);
        error.enrol = (method) => this.enrol(error.challenge, method);
      }
      throw error;
    }
  }

  /** A call that no session signs. */
  async #post(path, body, init = {}) {
    const headers = { "content-type": "application/json", ...(this.#client ? { "x-client-id": this.#client } : {}) };
    const credentials = this.#session ? "omit" : "include";
    const given = { ...init, method: "POST", headers, credentials, redirect: "error", body: JSON.stringify(body) };
    return dataOf(await this.#http(new URL(AUTH + path, this.#base), given));
  }
}

async function dataOf(response) {
  if (!response.ok) throw await refusal(response);
  if (response.status === 204) return undefined;
  const body = await response.json().catch(unreadable);
  if (body?.success !== true) throw refused(undefined, response);
  return body.data;
}

/** What is no JSON is not the server's answer; one that was cut is a failure of the network. */
function unreadable(error) {
  if (error instanceof SyntaxError) return {};
  throw error;
}
