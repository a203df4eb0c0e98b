// A lock between processes, without a native module: a file that is made by a hard link, whole or not at all.
import { randomBytes } from "node:crypto";
import { link, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";

const PAUSE_MS = 20;
/** Longer than any refresh with all its tries: a lock that is older belongs to no living act. */
const STALE_MS = 90_000;

/** Runs `act` while no other process, and nothing else here, holds the lock at `path`. */
export async function locked(path, act) {
  const id = `${process.pid} ${randomBytes(12).toString("hex")} ${hostname()}`;
  const part = `${path}.${id.split(" ")[1]}`;
  await writeFile(part, id, { mode: 0o600, flag: "wx" });
  try {
    while (!(await take(path, part, path))) {
      await new Promise((done) => setTimeout(done, PAUSE_MS * (0.5 + Math.random())));
    }
    try {
      return await act();
    } finally {
      if ((await content(path)) === id) await rm(path, { force: true });
    }
  } finally {
    await rm(part, { force: true });
  }
}

/**
 * Whether the lock at `path` is ours now. The lock of a process that is gone is taken over by the process that holds the ticket
 * for it, which is a lock of the same kind; what the ticket is for is read again once it is held, since it may have
 * been taken over just before.
 */
async function take(path, part, base) {
  try {
    await utimes(part, new Date(), new Date());
    await link(part, path);
    return true;
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
  }
  const holder = await content(path);
  if (holder === null || !(await isGone(path, holder))) return false;
  const ticket = `${base}.over.${holder.split(" ")[1]}`;
  if (!(await take(ticket, part, base))) return false;
  if ((await content(path)) !== holder) {
    await rm(ticket, { force: true });
    return false;
  }
  await rename(ticket, path);
  await rm(`${base}.${holder.split(" ")[1]}`, { force: true }); // what it made its lock of
  return true;
}

async function isGone(path, holder) {
  const [pid, , host] = holder.split(" ");
  if (host === hostname()) {
    try {
      process.kill(Number(pid), 0);
    } catch (error) {
      if (error.code === "ESRCH") return true;
    }
  }
  const age = await stat(path).then((found) => Date.now() - found.mtimeMs, () => 0);
  return age > STALE_MS;
}

async function content(path) {
  return readFile(path, "utf8").catch((error) => {
    if (error.code === "ENOENT") return null;
    throw error;
  });
}
