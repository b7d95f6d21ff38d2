/** A server that speaks bytes, for answers that no HTTP library would give. */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export interface ByteServer {
  readonly origin: string;
  readonly sockets: Socket[];
  readonly requests: string[];
  close(): Promise<void>;
}

/** `onRequest` gets each request's socket once its text is complete. Closes with the test. */
export async function startByteServer(onRequest: (socket: Socket, index: number) => void): Promise<ByteServer> {
  const sockets: Socket[] = [];
  const requests: string[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    let text = '';
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      text += chunk.toString();
      const head = text.indexOf('\r\n\r\n');
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
      if (head < 0 || text.length < head + 4 + length) return;
      requests.push(text);
      text = '';
      onRequest(socket, requests.length - 1);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  onTestFinished(close);
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, sockets, requests, close };
}

/** An answer with that body; `head`: further header lines. */
export const answer = (body: string, head = '') => `HTTP/1.1 200 OK\r\n${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
