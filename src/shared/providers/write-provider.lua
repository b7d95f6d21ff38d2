-- Writes the configuration of a provider, or of a tenant at a provider, if the stored one is still the version the writer has seen.
-- Atomic, because two writers would else overwrite each other, a follower could miss the change, and what a tenant has at a provider
-- could outlive the provider.
-- KEYS[1] hash: name, or name/tenant -> JSON beginning with {"version":<n>; field ':version' counts changes
-- ARGV[1] field
-- ARGV[2] version the writer has seen; 0: there must be none
-- ARGV[3] JSON, with the version one higher
-- ARGV[4] channel of changes
-- ARGV[5] field that must be there: the tenant's provider; '' for none
-- Replies: {'written', changes} | {'conflict', stored version, 0 for none} | {'orphan'}
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
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
local changes = redis.call('HINCRBY', KEYS[1], ':version', 1)
redis.call('PUBLISH', ARGV[4], ARGV[1])
return {'written', changes}
