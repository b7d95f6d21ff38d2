import { describe, expect, it } from 'vitest';
import { maskRedisAddress, parseRedisAddress } from './redis-address.ts';

describe('parseRedisAddress', () => {
  it('reads one Redis, or a cluster', () => {
    expect(parseRedisAddress('redis://h:1')).toEqual({ isCluster: false, nodes: ['redis://h:1'] });
    expect(parseRedisAddress('redis://h')).toEqual({ isCluster: false, nodes: ['redis://h'] });
    expect(parseRedisAddress('rediss://u:p@h:1/2')).toEqual({ isCluster: false, nodes: ['rediss://u:p@h:1/2'] });
    expect(parseRedisAddress('redis://[::1]:6379/')).toEqual({ isCluster: false, nodes: ['redis://[::1]:6379/'] });
    expect(parseRedisAddress('redis://a:1, redis://b:2')).toEqual({ isCluster: true, nodes: ['redis://a:1', 'redis://b:2'] });
    expect(parseRedisAddress('a:1,b:2')).toEqual({ isCluster: true, nodes: ['redis://a:1', 'redis://b:2'] });
    expect(parseRedisAddress('rediss+cluster://a:1')).toEqual({ isCluster: true, nodes: ['rediss://a:1'] });
  });

  it.each([
    'foo',
    'foo:6379',
    'redis://',
    'redis:h:1',
    'http://a:1',
    'redis://h:port',
    'redis://h:99999',
    'redis://h:1/first',
    'redis://a:1,',
    'redis://a:1,http://b:1',
    'redis://a b:1',
  ])('knows no Redis in %j', (text) => {
    expect(parseRedisAddress(text)).toBeUndefined();
  });
});

describe('maskRedisAddress', () => {
  it('leaves nothing of user and password, for any node', () => {
    expect(maskRedisAddress('redis://me:p@ss@one:1,rediss://:word@two:2/3')).toBe('redis://***@one:1,rediss://***@two:2/3');
    expect(maskRedisAddress('redis://one:1')).toBe('redis://one:1');
    expect(maskRedisAddress('app:hunter22@a:1, app:hunter22@b:2')).toBe('***@a:1, ***@b:2');
    expect(maskRedisAddress('redis://u:p@a:1,rediss+cluster://u:p/q@b:2')).toBe('redis://***@a:1,rediss+cluster://***@b:2');
    expect(maskRedisAddress('redis://h:1?password=secret')).toBe('redis://h:1?***');
  });
});
