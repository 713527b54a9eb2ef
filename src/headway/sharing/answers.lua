-- Who answers a request with an Idempotency-Key, of all gateways.
--
-- KEYS  1 of the request: `asked`, a hash of it; `gateway`, which answers it; then `body`, `headers`
--       2 alive: gateways by the moment at which their leases lapse, in ms
-- ARGV  1 the gateway that asks  2 a hash of the request  3 how long an answer may take, in ms
-- Returns asked, body and headers as they are there, or nothing: the answer is the gateway's to give.

local gateway = redis.call('HGET', KEYS[1], 'gateway')
if gateway then
  local time = redis.call('TIME')
  local lapses_ms = tonumber(redis.call('ZSCORE', KEYS[2], gateway) or 0)
  local lives = lapses_ms > time[1] * 1000 + time[2] / 1000
  if redis.call('HEXISTS', KEYS[1], 'body') == 1 or (lives and gateway ~= ARGV[1]) then
    return redis.call('HMGET', KEYS[1], 'asked', 'body', 'headers')
  end
  redis.call('DEL', KEYS[1])
end
redis.call('HSET', KEYS[1], 'asked', ARGV[2], 'gateway', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return false
