#!lua flags=allow-oom
-- Writes one of the records of a hash, if the stored one is still the version the writer has seen.
-- Atomic, because two writers would else overwrite each other, a follower could miss the change, a record could outlive the one it
-- belongs to, and the bound could be passed.
-- KEYS[1] hash: field -> JSON beginning with {"version":<n>; field ':version' counts changes
-- ARGV[1] field
-- ARGV[2] version the writer has seen; 0: there must be none
-- ARGV[3] JSON, with the version one higher
-- ARGV[4] channel of changes
-- ARGV[5] field that must be there; '' for none
-- ARGV[6] most records there may be; '' for any number
-- Replies: {'written', changes} | {'conflict', stored version, 0 for none} | {'orphan'} | {'full'}
-- Run twice: the second time replies 'conflict' with the version just written.
-- Cost: O(1) and the size of the JSON.
if ARGV[5] ~= '' and redis.call('HEXISTS', KEYS[1], ARGV[5]) == 0 then
  return {'orphan'}
end
local stored = redis.call('HGET', KEYS[1], ARGV[1])
local version = 0
if stored then
  version = tonumber(string.match(stored, '^{"version":(%d+)[,}]')) or 0
end
if version ~= tonumber(ARGV[2]) then
  return {'conflict', version}
end
-- The count of changes is a field, too, once there was a change.
local count = redis.call('HLEN', KEYS[1]) - redis.call('HEXISTS', KEYS[1], ':version')
if not stored and ARGV[6] ~= '' and count >= tonumber(ARGV[6]) then
  return {'full'}
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
local changes = redis.call('HINCRBY', KEYS[1], ':version', 1)
redis.call('PUBLISH', ARGV[4], ARGV[1])
return {'written', changes}
