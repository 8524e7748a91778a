-- What every script of a place begins with. KEYS[1] is the place's stream, "fanfare:{lane.partition}:s"; all other
-- keys of the place have the same hash tag, so they lie in the same slot:
--   s          the stream: what was handed out, and the few entries that are next
--   k<0..63>   what is queued, by work: its state and what it is. Many small hashes, because those stay compact
--              d<info>       not due yet, in `d`
--              w<info>       due, waits for its turn in `b<broadcast>`
--              s<id> <info>  in the stream
--              <info> is "<hub> <weight> <due>"
--   d          not due yet, by due time
--   h, h<hub>  turns over hubs, and over the broadcasts of a hub: what each has paid
--   b<id>      entries of one broadcast that wait, in order: the work without the broadcast's id
--   v          what the last one served had paid: newcomers join there
--   e          the epoch: gone when everything is
local s = KEYS[1]
local p = string.sub(s, 1, -2)
local group = 'w'
-- Entries that may be in the stream before anybody has taken them. Their order is fixed, so they are few.
local depth = 4
-- What a turn of weight 1 costs: a multiple of many small weights.
local turn = 5040
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function bucket(work)
  return p .. 'k' .. (string.byte(work, 16) + string.byte(work, -2)) % 64
end

-- How many entries of the stream nobody has taken. Makes the stream and its group when they are gone.
local function untaken()
  local pending = redis.pcall('XPENDING', s, group)
  if pending.err then
    redis.pcall('XGROUP', 'CREATE', s, group, '0', 'MKSTREAM')
    pending = { 0 }
  end
  return redis.call('XLEN', s) - pending[1]
end

local function join(turns, member, place)
  if not redis.call('ZSCORE', turns, member) then
    redis.call('ZADD', turns, redis.call('HGET', p .. 'v', place) or 0, member)
  end
end

local function pay(turns, member, paid, weight, place)
  redis.call('HSET', p .. 'v', place, paid)
  redis.call('ZADD', turns, paid + math.floor(turn / weight), member)
end

-- Puts due work where it waits for its turn; first in its broadcast when it comes back.
local function enter(work, info, first)
  local hub = string.match(info, '^(%d+)')
  local id = string.sub(work, 1, 16)
  redis.call('HSET', bucket(work), work, 'w' .. info)
  redis.call(first and 'LPUSH' or 'RPUSH', p .. 'b' .. id, string.sub(work, 17))
  join(p .. 'h', hub, 'h')
  join(p .. 'h' .. hub, id, hub)
end

local function delay(work, info, due)
  redis.call('HSET', bucket(work), work, 'd' .. info)
  redis.call('ZADD', p .. 'd', due, work)
end

-- Moves what has become due.
local function mature()
  for _, work in ipairs(redis.call('ZRANGEBYSCORE', p .. 'd', '-inf', now, 'LIMIT', 0, 256)) do
    redis.call('ZREM', p .. 'd', work)
    local known = redis.call('HGET', bucket(work), work)
    if known and string.sub(known, 1, 1) == 'd' then
      enter(work, string.sub(known, 2))
    end
  end
end

-- Puts up to `room` entries into the stream, in turn over hubs and broadcasts.
local function promote(room)
  while room > 0 do
    local hub = redis.call('ZRANGE', p .. 'h', 0, 0, 'WITHSCORES')
    if #hub == 0 then
      redis.call('DEL', p .. 'v')
      return
    end
    local turns = p .. 'h' .. hub[1]
    local broadcast = redis.call('ZRANGE', turns, 0, 0, 'WITHSCORES')
    if #broadcast > 0 then
      local waiting = p .. 'b' .. broadcast[1]
      local tail = redis.call('LPOP', waiting)
      if tail then
        local work = broadcast[1] .. tail
        local known = redis.call('HGET', bucket(work), work)
        if known and string.sub(known, 1, 1) == 'w' then
          local info = string.sub(known, 2)
          local id = redis.call('XADD', s, '*', 'w', work, 'i', info)
          redis.call('HSET', bucket(work), work, 's' .. id .. ' ' .. info)
          pay(p .. 'h', hub[1], hub[2], 1, 'h')
          pay(turns, broadcast[1], broadcast[2], tonumber(string.match(info, ' (%d+) ')), hub[1])
          room = room - 1
        end
      end
      if redis.call('EXISTS', waiting) == 0 then
        redis.call('ZREM', turns, broadcast[1])
      end
    end
    if redis.call('EXISTS', turns) == 0 then
      redis.call('ZREM', p .. 'h', hub[1])
      redis.call('HDEL', p .. 'v', hub[1])
    end
  end
end

-- Takes an entry out of the stream; its info if that entry is what is known of the work.
local function settle(id, work)
  redis.call('XACK', s, group, id)
  redis.call('XDEL', s, id)
  local known = redis.call('HGET', bucket(work), work)
  local head = 's' .. id .. ' '
  if known and string.sub(known, 1, #head) == head then
    return string.sub(known, #head + 1)
  end
end
