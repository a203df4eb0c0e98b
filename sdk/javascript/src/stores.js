// Where tokens are kept: in the memory of this program, or of all tabs of one origin.

/** Memory of this program alone. A store has `load`, `save`, and may have `lock` and `watch`. */
export function memoryStore(tokens = null) {
  let last = Promise.resolve();
  return {
    load: async () => tokens,
    save: async (given) => void (tokens = given),
    lock(act) {
      const run = last.then(act);
      last = run.catch(() => {});
      return run;
    },
  };
}

/** Whether tabs can share a session: in a page or worker of a secure context, with these two interfaces. */
export const hasTabs = () =>
  Boolean(globalThis.navigator?.locks && globalThis.BroadcastChannel && !globalThis.process?.versions?.node);

/** A channel that calls `told` when another tab of this origin posts that it signed out; null where there are no tabs. */
export function signOuts(server, told) {
  if (!globalThis.BroadcastChannel || globalThis.process?.versions?.node) return null;
  const channel = new BroadcastChannel(`manifest-auth ${server} cookie`);
  channel.onmessage = told;
  return channel;
}

const PATIENCE_MS = 2_000;

/**
 * Memory that the tabs of an origin share. Each change has a number. A tab holds a shared lock whose name ends in the
 * number of what it knows. So the tab that has the exclusive lock sees whether something newer is on its way to it, and
 * waits for that: messages and locks are not ordered among themselves.
 */
export function tabStore(name) {
  const { locks } = navigator;
  const channel = new BroadcastChannel(name);
  let held = { number: 0, tokens: null };
  let marked = Promise.resolve();
  let release = () => {};
  let watcher = () => {};
  let arrival = later();

  channel.onmessage = ({ data }) => {
    if (data.ask !== undefined) {
      if (held.number > data.ask) channel.postMessage(held);
    } else if (data.number > held.number) {
      held = data;
      mark(held.number);
      arrival.resolve();
      arrival = later();
      watcher(held.tokens);
    }
  };

  function mark(number) {
    marked = marked.then(async () => {
      const before = release;
      const { promise, resolve } = later();
      locks.request(`${name} ${number}`, { mode: "shared" }, () => {
        resolve();
        return new Promise((end) => (release = end));
      });
      await promise;
      before();
    });
    return marked;
  }

  async function newest() {
    const names = (await locks.query()).held.map((lock) => lock.name).filter((each) => each.startsWith(`${name} `));
    return Math.max(0, ...names.map((each) => Number(each.slice(name.length))));
  }

  return {
    async load() {
      const number = await newest();
      if (number > held.number) {
        channel.postMessage({ ask: held.number });
        const late = new Promise((done) => setTimeout(done, PATIENCE_MS, true));
        while (held.number < number && !(await Promise.race([arrival.promise, late]))) continue;
      }
      return held.tokens;
    },
    async save(tokens) {
      held = { number: Math.max(held.number, await newest()) + 1, tokens };
      await mark(held.number);
      channel.postMessage(held);
    },
    lock: (act) => locks.request(name, act),
    watch: (tell) => void (watcher = tell),
    close() {
      channel.close();
      marked.then(() => release());
    },
  };
}

/** A promise with the function that resolves it. */
function later() {
  let resolve;
  return { promise: new Promise((done) => (resolve = done)), resolve };
}
