#!lua flags=allow-oom
-- Gives up a worker's concurrency hold and, if it is the prober, the probe.
-- Atomic, because between looking and removing the probe may become another worker's.
-- KEYS[1] hash: the account's state (state.lua). ARGV[1] worker.
-- Replies `left`, `absent` where there was no hold. Run twice: `absent`.
-- Cost: O(1).

local removed = redis.call('HDEL', KEYS[1], 'h:' .. ARGV[1])
if redis.call('HGET', KEYS[1], 'probe') == ARGV[1] then redis.call('HDEL', KEYS[1], 'probe', 'probeUntil') end
return removed == 1 and 'left' or 'absent'
