-- letter-text: how a letter's hash holds its text (letter-text.ts). Functions for the scripts that write and read letters.
--
-- Redis keeps a small hash in one block as long as no value is longer than 64 bytes, which is less than half of what a
-- table of fields takes. So the text stands in pieces, in the fields 1, 2, ... A text of many pieces would be slow to
-- find its way in such a block; it stands whole in the field `letter`, as all did up to version 0.2.0.

local PIECE_BYTES, MOST_PIECES = 63, 30

-- The fields of a text: name, value, ... No piece ends within a character, since readers decode each by itself.
local function textFields(packed)
  if #packed > (PIECE_BYTES - 3) * MOST_PIECES then
    return { 'letter', packed }
  end
  local fields, from = {}, 1
  while from <= #packed do
    local last = math.min(#packed, from + PIECE_BYTES - 1)
    while last < #packed and string.find(packed, '^[\128-\191]', last + 1) do
      last = last - 1
    end
    fields[#fields + 1] = #fields / 2 + 1
    fields[#fields + 1] = string.sub(packed, from, last)
    from = last + 1
  end
  return fields
end

-- All fields of a letter by name, and its text ('' for none). Both are empty when there is no letter.
local function readWhole(deadLetter)
  local flat, fields, pieces = redis.call('HGETALL', deadLetter), {}, {}
  for i = 1, #flat, 2 do
    fields[flat[i]] = flat[i + 1]
  end
  for i = 1, MOST_PIECES do
    pieces[i] = fields[tostring(i)]
  end
  return fields, fields.letter or table.concat(pieces)
end

local function removeText(deadLetter)
  local names = { 'letter' }
  for i = 1, MOST_PIECES do
    names[i + 1] = i
  end
  redis.call('HDEL', deadLetter, unpack(names))
end
