// The tokens of one session: who refreshes, when, and what happens to the answer.

const MARGIN_MS = 30_000;
/** How long each try of a refresh may take, and the pause before it: all begin within the server's ten seconds. */
const TRIES = [[0, 4_000], [300, 4_000], [1_000, 30_000]];
/** Codes of a refresh after which the session is over. */
const OVER = new Set(["INVALID_TOKEN", "TOKEN_EXPIRED"]);

/** What the store keeps of an answer. Renewed 30 s before the end, a short-lived token after half of its life. */
export function tokensOf({ token, refreshToken, expiresIn }, now = Date.now()) {
  const life = expiresIn * 1000;
  return { token, refreshToken, expiresAt: now + life, renewAt: now + life - Math.min(MARGIN_MS, life / 2) };
}

const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const isGood = (held, stale) => Boolean(held?.token) && held.token !== stale && Date.now() < held.renewAt;

export class Session {
  #store;
  #send;
  #over;
  #tokens; // undefined: not read from the store yet
  #flight = null;

  /**
   * `store`: where the tokens are; `send(refreshToken, signal)`: one refresh, which resolves to the answer's data;
   * `over(error)`: told that the session has ended.
   */
  constructor(store, send, over) {
    this.#store = store;
    this.#send = send;
    this.#over = over;
    store.watch?.((tokens) => {
      const ended = this.#tokens && !tokens;
      this.#tokens = tokens;
      if (ended) over(null);
    });
  }

  /** An access token that is not about to end and is not `stale`; null without a session. */
  async token(stale) {
    this.#tokens ??= (await this.#store.load()) ?? null;
    if (!this.#tokens) return null;
    if (isGood(this.#tokens, stale)) return this.#tokens.token;
    const found = await this.#single(stale);
    return stale !== undefined && found === stale ? this.#single(stale) : found;
  }

  /** Whether there is a session, as far as is known here. */
  async isOpen() {
    return (this.#tokens ??= (await this.#store.load()) ?? null) !== null;
  }

  /** A new session, or none, in place of what there is. */
  put(tokens) {
    return this.#alone(async () => {
      await this.#store.save(tokens, {});
      this.#tokens = tokens;
    });
  }

  /** Of all that ask at the same time one refreshes; the others wait for its result. */
  #single(stale) {
    this.#flight ??= this.#alone(() => this.#rotate(stale)).finally(() => (this.#flight = null));
    return this.#flight;
  }

  #alone(act) {
    return this.#store.lock ? this.#store.lock(act) : act();
  }

  /** Others may have refreshed or signed out meanwhile: what the store holds counts, and is read again when in doubt. */
  async #rotate(stale) {
    let held = (await this.#store.load()) ?? null;
    for (let look = 0; ; look += 1) {
      if (!held) return this.#end(null, this.#tokens);
      if (isGood(held, stale) || look > 2) return this.#adopt(held);
      try {
        const child = tokensOf(await this.#refresh(held.refreshToken));
        // Stored before it is used: with its first use the token before it is dead.
        if ((await this.#store.save(child, { replaces: held.refreshToken })) !== false) return this.#adopt(child);
        held = (await this.#store.load()) ?? null;
      } catch (error) {
        if (!OVER.has(error.code)) throw error;
        const now = (await this.#store.load()) ?? null;
        if (look > 0 || !now || now.refreshToken === held.refreshToken) {
          if (now) await this.#store.save(null, { replaces: held.refreshToken });
          this.#end(error, true);
          throw error;
        }
        held = now;
      }
    }
  }

  #adopt(tokens) {
    this.#tokens = tokens;
    return tokens.token;
  }

  #end(error, wasOpen) {
    this.#tokens = null;
    if (wasOpen) this.#over(error);
    return null;
  }

  /** A lost answer is asked for again with the same token, which the server allows for ten seconds. */
  async #refresh(refreshToken) {
    let lost;
    for (const [pause, limit] of TRIES) {
      if (pause) await wait(pause);
      try {
        return await this.#send(refreshToken, AbortSignal.timeout(limit));
      } catch (error) {
        if (error.status && error.status < 500 && error.code !== "INVALID_ANSWER") throw error;
        lost = error;
      }
    }
    throw lost;
  }
}
