// @ts-check
/**
 * Ends a child process when this process dies without a word (kill -9, a crash). Children run in a process group of their own, so
 * that Ctrl-C reaches only their parent, which stops them in order; the price is that they would outlive a killed parent. So each
 * has a guard: a shell that waits on a pipe from here. The pipe closes with this process, however that ends, and the guard then
 * signals its child. Rejected: a parent check inside the services, which have no business knowing how they were started.
 */
import { spawn } from 'node:child_process';

const script = `read -r _
sleep "$3"
kill -s "$2" "$1" 2>/dev/null || exit 0
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
  kill -0 "$1" 2>/dev/null || exit 0
  sleep 1
done
kill -s KILL "$1"`;

/**
 * @param {number} pid
 * @param {{ signal?: 'TERM' | 'KILL', delaySeconds?: number }} [options]
 * @returns {() => void} to be called once the child has ended
 */
export function guardChild(pid, { signal = 'KILL', delaySeconds = 0 } = {}) {
  const guard = spawn('sh', ['-c', script, 'guard', String(pid), signal, String(delaySeconds)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  guard.on('error', () => {});
  guard.stdin.on('error', () => {});
  guard.unref();
  return () => {
    guard.kill('SIGKILL');
  };
}
