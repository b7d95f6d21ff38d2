#!lua flags=allow-oom
-- Removes one of the records of a hash, with those that belong to it.
-- Atomic, so that the removal and its count are one change for followers, nothing is removed that the remover has not seen, and no record
-- outlives the one it belongs to.
-- KEYS[1] hash: field -> JSON beginning with {"version":<n>; field ':version' counts changes
-- ARGV[1] field
-- ARGV[2] version the remover has seen; '' for any
-- ARGV[3] channel of changes
-- ARGV[4] what the fields begin with that go along; '' for none
-- Replies: {'removed', changes, field, JSON, ...}: all that went | {'missing'} | {'conflict', stored version}
-- Run twice: the second time replies 'missing'.
-- Cost: O(1) and the size of the JSON; with ARGV[4] O(n) in the fields of the hash.
local text = redis.call('HGET', KEYS[1], ARGV[1])
if not text then
  return {'missing'}
end
local version = string.match(text, '^{"version":(%d+)[,}]') or '0'
if ARGV[2] ~= '' and version ~= ARGV[2] then
  return {'conflict', tonumber(version)}
end
local gone = {ARGV[1], text}
if ARGV[4] ~= '' then
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    if string.sub(field, 1, #ARGV[4]) == ARGV[4] then
      gone[#gone + 1] = field
      gone[#gone + 1] = redis.call('HGET', KEYS[1], field)
    end
  end
end
local reply = {'removed', redis.call('HINCRBY', KEYS[1], ':version', 1)}
for i = 1, #gone, 2 do
  redis.call('HDEL', KEYS[1], gone[i])
  redis.call('PUBLISH', ARGV[3], gone[i])
  reply[#reply + 1] = gone[i]
  reply[#reply + 1] = gone[i + 1]
end
return reply
