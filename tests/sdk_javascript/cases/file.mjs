// Processes that share one file: one turn of a worker, and what the store refuses.
import { chmod, readFile, readdir, stat } from "node:fs/promises";
import { fileStore } from "manifest-auth-client/node";
import { AUTH, author, counting, made, options, pause, print, refusalOf } from "./common.mjs";

const store = fileStore(options.file);

const cases = {
  async begin() {
    const client = made({ store, baseUrl: options.at ?? options.base });
    await client.signIn(author);
    const { mode } = await stat(options.file);
    await chmod(options.file, 0o644);
    const refused = await refusalOf(store.load());
    await chmod(options.file, 0o600);
    return { mode: (mode & 0o777).toString(8), refused: refused.message, tokens: Object.keys(await store.load()).sort() };
  },

  /** Uses the session for some rounds, or until it has rotated so often by itself. */
  async work() {
    const counted = counting();
    const client = made({ store, fetch: counted.fetch });
    const statuses = {};
    const goesOn = (round) => (options.rotations ? counted.refreshes() < options.rotations : round < options.rounds);
    for (let round = 0; goesOn(round); round += 1) {
      if (options.rotations) await client.refresh();
      const { status } = await client.fetch(`${AUTH}/me`);
      statuses[status] = (statuses[status] ?? 0) + 1;
    }
    return { statuses, refreshes: counted.refreshes() };
  },

  /** Takes the lock and says so, and never gives it back. */
  async hold() {
    return store.lock(async () => {
      print("held");
      await pause(60_000);
    });
  },

  async end() {
    const client = made({ store });
    await client.signOut();
    const folder = options.file.replace(/[^/]*$/, "");
    return { left: await readdir(folder), gone: await readFile(options.file).catch((error) => error.code) };
  },
};

print(await cases[options.case]());
