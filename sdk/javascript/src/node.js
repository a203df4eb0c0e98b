// For Node.js: tokens in a file that several processes share.
import { open, readFile, rename, rm, stat } from "node:fs/promises";
import { locked } from "./file_lock.js";

/** A store in a file, described in `node.d.ts`. */
export function fileStore(path) {
  async function load() {
    let text;
    try {
      const { mode } = await stat(path);
      if (process.platform !== "win32" && mode & 0o077) throw new Error(`${path} may be read by others: chmod 600`);
      text = await readFile(path, "utf8");
    } catch (error) {
      if (error.code === "ENOENT") return null;
      throw error;
    }
    return JSON.parse(text);
  }

  async function save(tokens) {
    if (!tokens) return rm(path, { force: true });
    const part = `${path}.part`; // one that a killed process has left goes
    await rm(part, { force: true });
    try {
      const file = await open(part, "wx", 0o600);
      try {
        await file.writeFile(JSON.stringify(tokens));
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(part, path);
    } catch (error) {
      await rm(part, { force: true });
      throw error;
    }
  }

  return { load, save, lock: (act) => locked(`${path}.lock`, act) };
}
