-- Which gateway gets which slot: headway.core.sharing.slots, on what Redis keeps.
--
-- KEYS  1 leases: by gateway, its token, the number of its last grant, the grants that it has not
--         seen, those of its offers that are asked to yield, the scale of all as it knows it, and
--         those of its entries for which others yield
--       2 posts: by gateway, what it holds, wants and offers, as it came
--       3 alive: gateways by the moment at which their leases lapse, in ms
--       4 state: `token`, the last one; `settled`, when slots may be granted again, in ms; `cold`,
--         whether gateways may use slots that nobody has named yet
--       5 expected: gateways that may use slots, and have not come back yet
-- ARGV  1 what happens: join, post, sync (post, and answer with all that was not seen), beat, leave
--       2 the gateway  3 its token  4 how long its lease is, in ms  5 what it says, in MessagePack
-- Answers in MessagePack: the token (0: it has no lease, and must join); grants; yields; the
-- entries for which others yield, and the scale of all, each if it has changed; ms until slots are granted again; after join, sync and beat the
-- gateways, the slots of all by backend, and the waiting requests of others by tier. Others get what was decided
-- for them on the channel `KEYS[1]:gateway`, and the gateways once one comes or goes.

local event, gateway, token, lease_ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local said = ARGV[5] ~= '' and cmsgpack.unpack(ARGV[5]) or nil
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

local TOKEN, GRANTED, UNSEEN, YIELDING, OF_ALL, WAITS = 1, 2, 3, 4, 5, 6 -- of a lease
local NUMBER, BACKEND, REQUEST, ADDS = 1, 2, 3, 4 -- of a grant
local SEEN, HELD, ENTRIES, OFFERS, LOADS, SCALE, SLOTS, WAITING = 1, 2, 3, 4, 5, 6, 7, 8 -- of a post
local ID, TIER, PLACE, CHOICES, ASKS = 1, 2, 3, 4, 5 -- of an entry
local OF, BAR, WORTH = 3, 4, 5 -- of an offer, whose ID and TIER are as in an entry; OF: its backend

local NO_SCALE = 2 ^ 50

local leases, posts, changed = {}, {}, {}
local others_changed = false -- whether a gateway came or went

local function read(key, into)
  local flat = redis.call('HGETALL', key)
  for at = 1, #flat, 2 do into[flat[at]] = cmsgpack.unpack(flat[at + 1]) end
end

local function lose(name)
  others_changed = others_changed or leases[name] ~= nil
  leases[name], posts[name], changed[name] = nil, nil, nil
  redis.call('HDEL', KEYS[1], name)
  redis.call('HDEL', KEYS[2], name)
  redis.call('ZREM', KEYS[3], name)
end

local function slots_by_backend()
  -- The least number that a gateway names. One that finds the backend down names none.
  local slots = {}
  for _, post in pairs(posts) do
    for backend, number in pairs(post[SLOTS]) do
      if number < (slots[backend] or math.huge) then slots[backend] = number end
    end
  end
  return slots
end

local function granted_by_backend()
  local granted = {}
  for name, lease in pairs(leases) do
    for backend, number in pairs(posts[name][HELD]) do
      granted[backend] = (granted[backend] or 0) + number
    end
    for _, grant in ipairs(lease[UNSEEN]) do
      granted[grant[BACKEND]] = (granted[grant[BACKEND]] or 0) + 1
    end
  end
  return granted
end

-- Helpers -----------------------------------------------------------------------------------------

local function set(list)
  local found = {}
  for _, one in ipairs(list) do found[one] = true end
  return found
end

local function same(one, other)
  local known = set(other)
  for _, id in ipairs(one) do
    if not known[id] then return false end
  end
  return #one == #other
end

local function add(lists, name, one)
  lists[name] = lists[name] or {}
  table.insert(lists[name], one)
end

-- Events ------------------------------------------------------------------------------------------

-- No moment is further ahead than this, unless the clock of Redis stepped back.
local furthest_ms = now_ms + 2 * lease_ms

local function unsettled_ms()
  local settled = tonumber(redis.call('HGET', KEYS[4], 'settled') or 0)
  if settled > furthest_ms then
    settled = now_ms + lease_ms
    redis.call('HSET', KEYS[4], 'settled', settled)
  end
  return math.max(0, settled - now_ms)
end

local function settle(members)
  -- If no gateway has a lease, all may have been apart, and use slots that are not known here.
  -- None is granted until all have come back, or their leases would have lapsed.
  if next(leases) == nil then
    redis.call('DEL', KEYS[5])
    redis.call('HSET', KEYS[4], 'settled', now_ms + lease_ms, 'cold', #members == 0 and 1 or 0)
  elseif unsettled_ms() == 0 then
    return
  end
  for _, name in ipairs(members) do
    redis.call('HSET', KEYS[4], 'cold', 0)
    if not leases[name] then redis.call('SADD', KEYS[5], name) end
  end
  redis.call('SREM', KEYS[5], gateway)
  if redis.call('SCARD', KEYS[5]) == 0 and redis.call('HGET', KEYS[4], 'cold') == '0' then
    redis.call('HSET', KEYS[4], 'settled', now_ms)
  end
end

local function join(slots, uses, pinned, members)
  -- It keeps what it uses as far as nobody else has it, and in any case what it cannot stop.
  lose(gateway)
  settle(members)
  token = redis.call('HINCRBY', KEYS[4], 'token', 1)
  posts[gateway] = {0, {}, {}, {}, {}, NO_SCALE, slots, {}}
  local all, granted, held = slots_by_backend(), granted_by_backend(), {}
  for backend, number in pairs(uses) do
    local room = math.min(number, (all[backend] or 0) - (granted[backend] or 0))
    local kept = math.max(room, pinned[backend] or 0)
    if kept > 0 then held[backend] = kept end
  end
  posts[gateway][HELD] = held
  redis.call('HSET', KEYS[2], gateway, cmsgpack.pack(posts[gateway]))
  leases[gateway], changed[gateway] = {token, 0, {}, {}, NO_SCALE, {}}, true
  others_changed = true
  redis.call('ZADD', KEYS[3], now_ms + lease_ms, gateway)
end

local function post()
  local lease = leases[gateway]
  posts[gateway] = said
  redis.call('HSET', KEYS[2], gateway, ARGV[5])
  if #lease[UNSEEN] > 0 then
    local unseen = {}
    for _, grant in ipairs(lease[UNSEEN]) do
      if grant[NUMBER] > said[SEEN] then unseen[#unseen + 1] = grant end
    end
    lease[UNSEEN], changed[gateway] = unseen, true
  end
  if #lease[YIELDING] > 0 then
    local asked, yielding = set(lease[YIELDING]), {}
    for _, offer in ipairs(said[OFFERS]) do
      if asked[offer[ID]] then yielding[#yielding + 1] = offer[ID] end
    end
    lease[YIELDING], changed[gateway] = yielding, true
  end
end

-- Decisions ---------------------------------------------------------------------------------------

local grants, yields, waits, scales = {}, {}, {}, {} -- by gateway

local function best(choices, free, loads)
  local chosen, least
  for _, choice in ipairs(choices) do
    if (free[choice[1]] or 0) > 0 then
      local done = (loads[choice[1]] or 0) + choice[2]
      if not chosen or done < least then chosen, least = choice, done end
    end
  end
  return chosen
end

local function goes_first(one, other)
  if one.place ~= other.place then return one.place < other.place end
  if one.gateway ~= other.gateway then return one.gateway < other.gateway end
  return one.entry[ID] < other.entry[ID]
end

local function yields_first(one, other)
  local a, b = one.offer, other.offer
  if a[TIER] ~= b[TIER] then return a[TIER] > b[TIER] end
  if a[WORTH] ~= b[WORTH] then return a[WORTH] > b[WORTH] end
  if one.gateway ~= other.gateway then return one.gateway > other.gateway end
  return a[ID] > b[ID]
end

local function would_yield(offer, entry)
  if entry[TIER] ~= offer[TIER] then return entry[TIER] < offer[TIER] end
  return entry[PLACE] < offer[BAR]
end

local function decide()
  local slots, granted = slots_by_backend(), granted_by_backend()
  local free, any_free = {}, false
  for backend, number in pairs(slots) do
    free[backend] = number - (granted[backend] or 0)
    any_free = any_free or free[backend] > 0
  end

  local open, coming = {}, {}
  local lowest, bars = -1, {} -- tier of an offer; by tier, the last place that one yields to
  for name, lease in pairs(leases) do
    local asked = set(lease[YIELDING])
    for _, offer in ipairs(posts[name][OFFERS]) do
      if asked[offer[ID]] then
        coming[offer[OF]] = (coming[offer[OF]] or 0) + 1
      else
        open[#open + 1] = {gateway = name, offer = offer}
        lowest = math.max(lowest, offer[TIER])
        if offer[BAR] > (bars[offer[TIER]] or '') then bars[offer[TIER]] = offer[BAR] end
      end
    end
  end
  local function may_take(entry)
    return entry[ASKS] and (entry[TIER] < lowest or entry[PLACE] < (bars[entry[TIER]] or ''))
  end

  local waiting, any_may_take = {}, false
  for name, lease in pairs(leases) do
    local unseen = {}
    for _, grant in ipairs(lease[UNSEEN]) do unseen[grant[REQUEST]] = true end
    for _, entry in ipairs(posts[name][ENTRIES]) do
      if not unseen[entry[ID]] then
        waiting[#waiting + 1] = {place = entry[PLACE], gateway = name, entry = entry}
        any_may_take = any_may_take or may_take(entry)
      end
    end
  end
  local look = any_may_take or next(coming) ~= nil
  if any_free or look then table.sort(waiting, goes_first) end

  local passed = waiting
  if any_free then
    local loads = {}
    for name, lease in pairs(leases) do
      for backend, us in pairs(posts[name][LOADS]) do loads[backend] = (loads[backend] or 0) + us end
      for _, grant in ipairs(lease[UNSEEN]) do
        loads[grant[BACKEND]] = (loads[grant[BACKEND]] or 0) + grant[ADDS]
      end
    end
    passed = {}
    for _, one in ipairs(waiting) do
      local choice, lease = best(one.entry[CHOICES], free, loads), leases[one.gateway]
      if choice then
        local backend = choice[1]
        free[backend], loads[backend] = free[backend] - 1, (loads[backend] or 0) + choice[3]
        granted[backend] = (granted[backend] or 0) + 1
        lease[GRANTED], changed[one.gateway] = lease[GRANTED] + 1, true
        local grant = {lease[GRANTED], backend, one.entry[ID], choice[3]}
        table.insert(lease[UNSEEN], grant)
        add(grants, one.gateway, grant)
      else
        passed[#passed + 1] = one
      end
    end
  end

  local waits_now = {}
  if look then
    for backend, number in pairs(slots) do
      -- A slot beyond those that the backend still has is not for others.
      coming[backend] = (coming[backend] or 0) - math.max(0, (granted[backend] or 0) - number)
    end
    table.sort(open, yields_first)
    for _, one in ipairs(passed) do
      local able, promised = {}, nil
      for _, choice in ipairs(one.entry[CHOICES]) do
        able[choice[1]] = true
        if not promised and (coming[choice[1]] or 0) > 0 then promised = choice[1] end
      end
      if promised then
        coming[promised] = coming[promised] - 1
        add(waits_now, one.gateway, one.entry[ID])
      elseif may_take(one.entry) then
        for at, offered in ipairs(open) do
          local offer = offered.offer
          if able[offer[OF]] and would_yield(offer, one.entry) then
            if offered.gateway ~= one.gateway then -- else its gateway sees to it
              table.insert(leases[offered.gateway][YIELDING], offer[ID])
              changed[offered.gateway] = true
              add(yields, offered.gateway, {offer[OF], offer[ID]})
              add(waits_now, one.gateway, one.entry[ID])
            end
            table.remove(open, at)
            break
          end
        end
      end
    end
  end
  for name, lease in pairs(leases) do
    local ids = waits_now[name] or {}
    if not same(ids, lease[WAITS]) then
      lease[WAITS], waits[name], changed[name] = ids, ids, true
    end
  end
end

local function rescale()
  local sum, known = 0, 0
  for _, post in pairs(posts) do
    if post[SCALE] ~= NO_SCALE then sum, known = sum + post[SCALE], known + 1 end
  end
  local mean = known > 1 and math.floor(sum / known) or NO_SCALE
  for name, lease in pairs(leases) do
    if mean ~= lease[OF_ALL] then lease[OF_ALL], changed[name], scales[name] = mean, true, mean end
  end
end

-- What is answered --------------------------------------------------------------------------------

read(KEYS[1], leases)
read(KEYS[2], posts)
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now_ms)) do lose(name) end
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], furthest_ms, '+inf')) do
  redis.call('ZADD', KEYS[3], now_ms + lease_ms, name)
end

if event == 'join' then
  join(said[1], said[2], said[3], said[4])
elseif not leases[gateway] or leases[gateway][TOKEN] ~= token then
  token = 0
elseif event == 'leave' then
  lose(gateway)
  token = 0
elseif event == 'beat' then
  redis.call('ZADD', KEYS[3], now_ms + lease_ms, gateway)
else
  post()
end

local pause_ms = unsettled_ms()
if pause_ms == 0 then decide() end
rescale()
for name in pairs(changed) do redis.call('HSET', KEYS[1], name, cmsgpack.pack(leases[name])) end
local members = {}
for name in pairs(leases) do members[#members + 1] = name end
for name, lease in pairs(leases) do
  if name ~= gateway and (grants[name] or yields[name] or waits[name] or scales[name]
      or others_changed) then
    local decided = {lease[TOKEN], grants[name] or {}, yields[name] or {}, waits[name] or false,
      scales[name] or false}
    if others_changed then decided[6] = members end
    redis.call('PUBLISH', KEYS[1] .. ':' .. name, cmsgpack.pack(decided))
  end
end

local mine = leases[gateway]
local answer = {token, mine and mine[UNSEEN] or {}, yields[gateway] or {}, waits[gateway] or false,
  scales[gateway] or false, pause_ms}
if event ~= 'post' and mine then
  local waiting = {0, 0, 0}
  for name, post in pairs(posts) do
    for tier, number in ipairs(name ~= gateway and post[WAITING] or {}) do
      waiting[tier] = waiting[tier] + number
    end
  end
  answer[7], answer[8], answer[9] = members, slots_by_backend(), waiting
  answer[10] = posts[gateway][HELD]
  if event == 'sync' then
    answer[3], answer[4], answer[5] = {}, mine[WAITS], mine[OF_ALL]
    local asked = set(mine[YIELDING])
    for _, offer in ipairs(posts[gateway][OFFERS]) do
      if asked[offer[ID]] then table.insert(answer[3], {offer[OF], offer[ID]}) end
    end
  end
end
return cmsgpack.pack(answer)
