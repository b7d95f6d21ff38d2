-- Removes the configuration of a provider, with those of its tenants there, or of one tenant.
-- Atomic, so that the removal and its count are one change for followers, and no tenant's configuration outlives its provider.
-- KEYS[1] hash: name, or name/tenant -> JSON; field ':version' counts changes
-- ARGV[1] field
-- ARGV[2] channel of changes
-- ARGV[3] what the fields begin with that go along; '' for none
-- Replies: {'removed', changes} | {'missing'}
-- Run twice: the second time replies 'missing'.
-- Cost: O(1); with ARGV[3] O(n) in the fields of the hash.
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then
  return {'missing'}
end
redis.call('PUBLISH', ARGV[2], ARGV[1])
if ARGV[3] ~= '' then
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    if string.sub(field, 1, #ARGV[3]) == ARGV[3] then
      redis.call('HDEL', KEYS[1], field)
      redis.call('PUBLISH', ARGV[2], field)
    end
  end
end
return {'removed', redis.call('HINCRBY', KEYS[1], ':version', 1)}
