import type { TokenStore } from "./index.js";

/**
 * A store in a file that only its owner may read (0600), written whole or not at all. Processes that share it take turns
 * by a lock file beside it. Refuses a file that others may read.
 */
export function fileStore(path: string): TokenStore;
