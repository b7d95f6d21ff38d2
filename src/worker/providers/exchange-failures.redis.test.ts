/** Adapters of several requests where something goes wrong: answers that are lost, calls that are cut, dialects that throw. */
import { describe, expect, it } from 'vitest';
import { accepted } from '../../../test/support/engine.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { receive } from '../../../test/support/receiver.ts';
import {
  type CarryOut,
  errorOf,
  freely,
  get,
  oneByOne,
  post,
  preparedOf,
  send,
  useExchangeAdapters,
  yes,
} from '../../../test/support/use-exchange-adapters.ts';
import type { ProviderError } from '../../shared/domain/provider-error.ts';

const { open } = useExchangeAdapters();

describe('lost answers', () => {
  it('are passing for a read, and in doubt for everything else', async () => {
    const { url } = await receive(() => ({ drop: true }));
    const read = await send(open({ baseUrl: url }, oneByOne(get()))).sent;
    expect(errorOf(read.outcomes[0])).toMatchObject({ kind: 'transient', code: 'connection_lost' });
    const write = await send(open({ baseUrl: url }, oneByOne(post()))).sent;
    expect(errorOf(write.outcomes[0])).toMatchObject({ kind: 'ambiguous', code: 'connection_lost' });
  });

  it('come of each request’s own time limit', async () => {
    const { url } = await receive(() => ({ hang: true }));
    const { outcomes } = await send(open({ baseUrl: url, timeoutMs: 50 }, oneByOne(post()))).sent;
    expect(errorOf(outcomes[0])).toMatchObject({ kind: 'ambiguous', code: 'timeout' });
  });

  it('are none where nothing listens', async () => {
    const { outcomes } = await send(open({ baseUrl: 'http://127.0.0.1:1' }, oneByOne(post()))).sent;
    expect(errorOf(outcomes[0])).toMatchObject({ kind: 'transient', code: 'connection_refused' });
  });
});

describe('cutting', () => {
  it('ends the request in flight: ambiguous where it was written', async () => {
    const receiver = await receive(() => ({ hang: true }));
    const { sent, abort, dones } = send(open({ baseUrl: receiver.url }, oneByOne(post(), post())));
    await eventually(() => receiver.calls.length === 1);
    abort('lease lost');
    expect(errorOf((await sent).outcomes[0])).toMatchObject({ kind: 'ambiguous', code: 'aborted' });
    abort('again');
    expect(dones()).toBe(1);
  });

  it('ends the wait for a permit, and nothing more is sent', async () => {
    const receiver = await receive();
    let isAsked = false;
    const never = () => {
      isAsked = true;
      return new Promise<undefined>(() => {});
    };
    const { sent, abort } = send(open({ baseUrl: receiver.url }, oneByOne(post(), post())), { ...yes, nextRequest: never });
    await eventually(() => isAsked);
    abort('stopping');
    expect((await sent).outcomes).toEqual([{ status: 'unsent', reason: 'stopping' }]);
    expect(receiver.calls).toHaveLength(1);
  });

  it('ends a pause, and what the dialect makes of it counts', async () => {
    let isWaiting = false;
    const adapter = open({}, async (calls, exchange) => {
      isWaiting = true;
      const isOver = await exchange.wait(3_600_000);
      const reply = await exchange.request(get());
      expect(reply).toEqual({ status: 'ended', outcome: { status: 'unsent', reason: 'stopping' } });
      return calls.map(() => (isOver ? { status: 'unsent', reason: '' } : accepted));
    });
    const { sent, abort } = send(adapter);
    await eventually(() => isWaiting);
    abort('stopping');
    expect((await sent).outcomes).toEqual([accepted]);
  });

  it('is done by closing, too, and later calls stay unsent', async () => {
    const receiver = await receive(() => ({ hang: true }));
    const adapter = open({ baseUrl: receiver.url }, oneByOne(post()));
    const { sent } = send(adapter);
    await eventually(() => receiver.calls.length === 1);
    await adapter.close();
    expect(errorOf((await sent).outcomes[0])).toMatchObject({ kind: 'ambiguous' });
    expect((await send(adapter).sent).outcomes).toEqual([{ status: 'unsent', reason: 'closed' }]);
  });

  it('does nothing to a pause that is over', async () => {
    const adapter = open({}, async (calls, exchange) => [
      (await exchange.wait(1)) ? accepted : { status: 'unsent', reason: String(calls.length) },
    ]);
    expect((await send(adapter).sent).outcomes).toEqual([accepted]);
  });
});

describe('a dialect with a bug', () => {
  const bug = async (): Promise<never> => {
    throw new TypeError('no static-token of undefined');
  };

  it('fails its calls once, in words without secrets', async () => {
    const { url } = await receive();
    const { sent, dones } = send(
      open({ baseUrl: url }, async (_, exchange) => {
        await exchange.request(get());
        return bug();
      }),
      freely,
      [preparedOf(), preparedOf()],
    );
    const error = { kind: 'transient', code: 'adapter_fault', message: 'the adapter failed: TypeError: no *** of undefined' };
    expect((await sent).outcomes).toEqual([
      { status: 'failed', error },
      { status: 'failed', error },
    ]);
    expect(dones()).toBe(1);
  });

  it('leaves its calls in doubt where it has written', async () => {
    const { url } = await receive();
    const written: CarryOut = async (_, exchange) => {
      await exchange.request(post());
      return bug();
    };
    expect(errorOf((await send(open({ baseUrl: url }, written)).sent).outcomes[0])).toMatchObject({ kind: 'ambiguous' });
  });

  it('may also throw before it begins, or give outcomes that do not fit', async () => {
    const thrown = await send(
      open({}, () => {
        throw new Error('at once');
      }),
    ).sent;
    expect(errorOf(thrown.outcomes[0])?.code).toBe('adapter_fault');
    const short = await send(
      open({}, async () => []),
      freely,
      [preparedOf()],
    ).sent;
    expect(errorOf(short.outcomes[0])?.code).toBe('adapter_fault');
  });
});

describe('doubt', () => {
  const failing = (error: ProviderError) => open({}, async (calls) => calls.map(() => ({ status: 'failed', error })));
  const doubted = [preparedOf({ isInDoubt: true }), preparedOf()];

  it.each(['rate_limited', 'transient', 'auth', 'ambiguous'] as const)(
    'is kept by a failure of the kind %s, and never made',
    async (kind) => {
      const error: ProviderError = { kind, code: 'x', message: '' };
      const { outcomes } = await send(failing(error), freely, doubted).sent;
      expect(outcomes.map((outcome) => errorOf(outcome)?.isInDoubt)).toEqual([true, undefined]);
    },
  );

  it('ends with a final failure, or where the dialect has found out', async () => {
    const final = await send(failing({ kind: 'invalid', code: 'x', message: '' }), freely, doubted).sent;
    expect(errorOf(final.outcomes[0])?.isInDoubt).toBeUndefined();
    const known = await send(failing({ kind: 'transient', code: 'x', message: '', isInDoubt: false }), freely, doubted).sent;
    expect(errorOf(known.outcomes[0])?.isInDoubt).toBe(false);
  });
});
