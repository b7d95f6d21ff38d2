-- Removes one route.
-- Atomic, so that the removal and its count are one change for followers, and nothing is removed that the remover has not seen.
-- KEYS[1] hash: name -> JSON beginning with {"version":<n>; field ':version' counts changes
-- ARGV[1] name
-- ARGV[2] version the remover has seen; '' for any
-- ARGV[3] channel of changes
-- Replies: {'removed', changes} | {'missing'} | {'conflict', stored version}
-- Run twice: the second time replies 'missing'.
-- Cost: O(1).
local stored = redis.call('HGET', KEYS[1], ARGV[1])
if not stored then
  return {'missing'}
end
local version = string.match(stored, '^{"version":(%d+)[,}]') or '0'
if ARGV[2] ~= '' and version ~= ARGV[2] then
  return {'conflict', tonumber(version)}
end
redis.call('HDEL', KEYS[1], ARGV[1])
local changes = redis.call('HINCRBY', KEYS[1], ':version', 1)
redis.call('PUBLISH', ARGV[3], ARGV[1])
return {'removed', changes}
