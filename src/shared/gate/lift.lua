#!lua flags=allow-oom
-- Ends an account's pause, and with it the episode of throttling that would have lasted as long (throttling.lua), and tells the fleet.
-- Atomic, because between looking and removing another pause may begin.
-- KEYS[1] hash: the account's state (state.lua). ARGV: 1 channel, 2 account, 3 reason of pauses that stay, '' for none.
-- Replies `lifted`, `absent` where there was nothing to lift. Run twice: `absent`.
-- Cost: O(1).

local fields = redis.call('HMGET', KEYS[1], 'reason', 'factor')
local reason, factor = fields[1], fields[2]
if not reason or (ARGV[3] ~= '' and reason == ARGV[3]) then return 'absent' end
redis.call('HDEL', KEYS[1], 'pause', 'reason')
local value, since = (factor or ''):match('^(.-):(.*)$')
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
-- What the factor was cut to begins to come back, and further throttling cuts it again.
if value and tonumber(since) > now then redis.call('HSET', KEYS[1], 'factor', string.format('%s:%.0f', value, now)) end
redis.call('PUBLISH', ARGV[1], ARGV[2])
return 'lifted'
