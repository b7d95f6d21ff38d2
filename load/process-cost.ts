/** What processes cost, from Linux's /proc: CPU time over all threads, and resident memory. */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { median } from './statistics.ts';

/** The kernel reports CPU time to user space in hundredths of a second on every Linux that Node runs on. */
const ticksPerSecond = 100;
const sampleMs = 100;

/** User and system time so far, seconds. Throws when the process is gone. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The second field, the name in parentheses, may hold spaces.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** Resident memory now, MiB. Throws when the process is gone. */
export function residentMb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1_024;
}

export interface MemoryWatch {
  /** MiB, one every 100 ms so far. */
  stop(): number[];
}

export function watchMemory(pid: number): MemoryWatch {
  const samples = [residentMb(pid)];
  const timer = setInterval(() => samples.push(residentMb(pid)), sampleMs);
  return {
    stop() {
      clearInterval(timer);
      return samples;
    },
  };
}

/** Growth from the middle third to the last third, as a share; the first third is warm-up. */
export function growthOf(samples: readonly number[]): number {
  const third = Math.floor(samples.length / 3);
  return median(samples.slice(2 * third)) / median(samples.slice(third, 2 * third)) - 1;
}

/** CPU time of all these processes together over so many milliseconds, as a share of one core. */
export async function cpuShare(pids: readonly number[], ms: number): Promise<number> {
  const sum = () => pids.reduce((total, pid) => total + cpuSeconds(pid), 0);
  const before = sum();
  const startedAt = performance.now();
  await delay(ms);
  return (sum() - before) / ((performance.now() - startedAt) / 1_000);
}

/** Ticks that all cores were busy, and ticks of this process with the children it has waited for. */
function readTicks(): { busy: number; own: number } {
  // user nice system idle iowait irq softirq steal; what a hypervisor takes away is lost to us too.
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = (readFileSync('/proc/stat', 'latin1').split('\n')[0] ?? '')
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number);
  const stat = readFileSync('/proc/self/stat', 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const own = [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]), 0);
  return { busy: user + nice + system + irq + softirq + steal, own };
}

/**
 * Tells, when called, how much of the machine others have used since: 0 to 1 of all its cores. To be asked when every child has ended.
 */
export function watchOthers(): () => number {
  const before = readTicks();
  const startedAt = performance.now();
  return () => {
    const after = readTicks();
    const ticks = ((performance.now() - startedAt) / 1_000) * ticksPerSecond * availableParallelism();
    return Math.max(0, after.busy - before.busy - (after.own - before.own)) / ticks;
  };
}
