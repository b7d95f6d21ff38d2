#!lua flags=allow-oom
-- Ends an account's pause, and tells the fleet.
-- Atomic, because between looking and removing another pause may begin.
-- KEYS[1] hash: the account's state (state.lua). ARGV: 1 channel, 2 account, 3 reason of pauses that stay, '' for none.
-- Replies `lifted`, `absent` where there was nothing to lift. Run twice: `absent`.
-- Cost: O(1).

local reason = redis.call('HGET', KEYS[1], 'reason')
if not reason or (ARGV[3] ~= '' and reason == ARGV[3]) then return 'absent' end
redis.call('HDEL', KEYS[1], 'pause', 'reason')
redis.call('PUBLISH', ARGV[1], ARGV[2])
return 'lifted'
