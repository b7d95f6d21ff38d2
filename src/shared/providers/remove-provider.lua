-- Removes one provider's configuration.
-- Atomic, so that the removal and its count are one change for followers.
-- KEYS[1] hash: name -> JSON; field ':version' counts changes
-- ARGV[1] name
-- ARGV[2] channel of changes
-- Replies: {'removed', changes} | {'missing'}
-- Run twice: the second time replies 'missing'.
-- Cost: O(1).
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then
  return {'missing'}
end
local changes = redis.call('HINCRBY', KEYS[1], ':version', 1)
redis.call('PUBLISH', ARGV[2], ARGV[1])
return {'removed', changes}
