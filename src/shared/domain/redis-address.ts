/** How `REDIS_URL` is read. It stands here because the settings check it and the connections use it, and those do not know each other. */

export interface RedisAddress {
  readonly isCluster: boolean;
  /** As `redis://` or `rediss://` addresses; one where it is no cluster, else those asked for the others. */
  readonly nodes: readonly string[];
}

/** Completes "expected ...". */
export const redisAddressForms =
  'redis://host:port, rediss://host:port (TLS), or for a cluster redis+cluster://host:port or a comma-separated list of nodes';

/** One Redis has to say its scheme; the nodes of a list may be `host:port` alone. Undefined for anything else. */
export function parseRedisAddress(text: string): RedisAddress | undefined {
  const parts = text.split(',').map((part) => part.trim());
  const isList = parts.length > 1;
  const nodes = parts.map((part) => readNode(part, isList));
  if (!nodes.every((node) => node !== undefined)) return undefined;
  return { isCluster: isList || /^rediss?\+cluster:/.test(text.trim()), nodes };
}

function readNode(part: string, isInList: boolean): string | undefined {
  if (/\s/.test(part)) return undefined;
  const plain = part.replace(/^(rediss?)\+cluster:/, '$1:');
  const node = isInList && part !== '' && !part.includes('://') ? `redis://${plain}` : plain;
  if (!/^rediss?:\/\//.test(node)) return undefined;
  // The path is the number of a database.
  return URL.canParse(node) && new URL(node).hostname !== '' && /^\/?[0-9]*$/.test(new URL(node).pathname) ? node : undefined;
}

/** The address without users, passwords (which may hold an @ themselves) and what follows a question mark, node by node. */
export function maskRedisAddress(text: string): string {
  const maskNode = (node: string) => node.replace(/^(\s*(?:[a-z+]*:\/\/)?).*@/i, '$1***@').replace(/\?.*$/s, '?***');
  return text.split(',').map(maskNode).join(',');
}
