-- Who answers a request with an Idempotency-Key, of all gateways.
--
-- KEYS  1 of the request: `asked`, a hash of it; `claim`, whose it is; then `body`, `headers`
-- ARGV  1 event  2 the claim that calls  3 a hash of the request  4 how long this holds, in ms
--       5 body  6 headers
-- Events
--   claim    answer the request, or go on with that, unless another claim holds or it is answered
--   keep     give the answer; the first one stays, also where its claim has lapsed meanwhile
--   give_up  leave the request to others, unless it is another's or answered
-- Returns asked, body and headers as another claim set them, or nothing: it is as the caller wants.

local event, claim, asked = ARGV[1], ARGV[2], ARGV[3]
local found = redis.call('HMGET', KEYS[1], 'asked', 'body', 'headers', 'claim')
local answered, holder = found[2], found[4]

if event == 'give_up' then
  if holder == claim and not answered then
    redis.call('DEL', KEYS[1])
  end
  return false
end
if holder and holder ~= claim and (event == 'claim' or answered or found[1] ~= asked) then
  return found
end
if not answered then
  redis.call('HSET', KEYS[1], 'asked', asked, 'claim', claim)
  if event == 'keep' then
    redis.call('HSET', KEYS[1], 'body', ARGV[5], 'headers', ARGV[6])
  end
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return false
