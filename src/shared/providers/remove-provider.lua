-- Removes the configuration of a provider, with those of its tenants there, or of one tenant.
-- Atomic, so that the removal and its count are one change for followers, and no tenant's configuration outlives its provider.
-- KEYS[1] hash: name, or name/tenant -> JSON; field ':version' counts changes
-- ARGV[1] field
-- ARGV[2] channel of changes
-- ARGV[3] what the fields begin with that go along; '' for none
-- Replies: {'removed', changes, field, JSON, ...}: all that went | {'missing'}
-- Run twice: the second time replies 'missing'.
-- Cost: O(1) and the size of the JSON; with ARGV[3] O(n) in the fields of the hash.
local text = redis.call('HGET', KEYS[1], ARGV[1])
if not text then
  return {'missing'}
end
local gone = {ARGV[1], text}
if ARGV[3] ~= '' then
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    if string.sub(field, 1, #ARGV[3]) == ARGV[3] then
      gone[#gone + 1] = field
      gone[#gone + 1] = redis.call('HGET', KEYS[1], field)
    end
  end
end
local reply = {'removed', redis.call('HINCRBY', KEYS[1], ':version', 1)}
for i = 1, #gone, 2 do
  redis.call('HDEL', KEYS[1], gone[i])
  redis.call('PUBLISH', ARGV[2], gone[i])
  reply[#reply + 1] = gone[i]
  reply[#reply + 1] = gone[i + 1]
end
return reply
