import { describe, expect, it, vi } from 'vitest';
import { useFakeTimers } from '../../../test/support/use-fake-timers.ts';
import { createDeadlines, type Timed } from './deadlines.ts';

useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });

function createItem(name: string, due: string[], onDue = () => {}): Timed {
  return {
    dueMs: 0,
    previous: undefined,
    next: undefined,
    onDue() {
      due.push(name);
      onDue();
    },
  };
}

describe('createDeadlines', () => {
  it('calls each item once, when its own time is up', () => {
    const due: string[] = [];
    const deadlines = createDeadlines(100, () => performance.now());
    deadlines.add(createItem('a', due));
    vi.advanceTimersByTime(60);
    deadlines.add(createItem('b', due));
    vi.advanceTimersByTime(39);
    expect(due).toEqual([]);
    vi.advanceTimersByTime(2);
    expect(due).toEqual(['a']);
    vi.advanceTimersByTime(60);
    expect(due).toEqual(['a', 'b']);
    vi.advanceTimersByTime(1_000);
    expect(due).toEqual(['a', 'b']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each(['first', 'middle', 'last'])('forgets a removed item: the %s', (which) => {
    const due: string[] = [];
    const deadlines = createDeadlines(100, () => performance.now());
    const items = ['first', 'middle', 'last'].map((name) => createItem(name, due));
    for (const item of items) deadlines.add(item);
    const removed = items[['first', 'middle', 'last'].indexOf(which)] as Timed;
    deadlines.remove(removed);
    deadlines.remove(removed);
    expect(deadlines.items()).toEqual(items.filter((item) => item !== removed));
    vi.advanceTimersByTime(101);
    expect(due).toEqual(['first', 'middle', 'last'].filter((name) => name !== which));
  });

  it('needs one timer for many items', () => {
    const deadlines = createDeadlines(100, () => performance.now());
    for (let index = 0; index < 50; index += 1) deadlines.add(createItem('x', []));
    expect(vi.getTimerCount()).toBe(1);
  });

  it('takes an item that is added while another is due', () => {
    const due: string[] = [];
    const deadlines = createDeadlines(100, () => performance.now());
    deadlines.add(createItem('a', due, () => deadlines.add(createItem('b', due))));
    vi.advanceTimersByTime(101);
    expect(due).toEqual(['a']);
    vi.advanceTimersByTime(101);
    expect(due).toEqual(['a', 'b']);
  });
});
