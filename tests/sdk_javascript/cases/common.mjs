// What the cases share: options of the command line, a fetch that counts, clocks, and the printed result.
import { createClient } from "manifest-auth-client";

export const options = JSON.parse(process.argv[2]);
export const AUTH = "/api/client/auth";
export const author = { email: "author@acme.example", password: options.password };
export const pause = (ms) => new Promise((done) => setTimeout(done, ms));
export const print = (result) => console.log(JSON.stringify(result));

/** `fetch` that counts the calls of each path, and may do more with an answer. */
export function counting(change = async (answer) => answer) {
  const calls = {};
  const call = async (url, init) => {
    const { pathname } = new URL(url.url ?? url);
    calls[pathname] = (calls[pathname] ?? 0) + 1;
    return change(await fetch(url, init), pathname, calls[pathname]);
  };
  return { calls, fetch: call, refreshes: () => calls[`${AUTH}/refresh`] ?? 0 };
}

export const made = (given = {}) =>
  createClient({ baseUrl: options.base, client: "acme", mode: "bearer", ...given });

/** What a promise was refused with. */
export async function refusalOf(promise) {
  try {
    await promise;
  } catch (error) {
    const { name, code, status, details, requestId, retryAfter, message } = error;
    return { name, code, status, details, requestId, retryAfter, message };
  }
  return null;
}

/** From now on this program's clock stands still: only the server knows that a token ended. */
export function stopClock() {
  const now = Date.now();
  Date.now = () => now;
}
