-- Answers the earliest due time of what is due and was handed to nobody, as text.
local oldest
local function look(info)
  local due = tonumber(string.match(info, '(%-?%d+)$'))
  if not oldest or due < oldest then
    oldest = due
  end
end

mature()
for _, hub in ipairs(redis.call('ZRANGE', p .. 'h', 0, 999)) do
  for _, id in ipairs(redis.call('ZRANGE', p .. 'h' .. hub, 0, 999)) do
    local tail = redis.call('LINDEX', p .. 'b' .. id, 0)
    local known = tail and redis.call('HGET', bucket(id .. tail), id .. tail)
    if known then
      look(known)
    end
  end
end
if untaken() > 0 then
  local of = redis.call('XINFO', 'GROUPS', s)[1]
  for i = 1, #of, 2 do
    if of[i] == 'last-delivered-id' then
      for _, entry in ipairs(redis.call('XRANGE', s, '(' .. of[i + 1], '+', 'COUNT', 100)) do
        look(entry[2][4])
      end
    end
  end
end
return oldest and string.format('%.0f', oldest)
