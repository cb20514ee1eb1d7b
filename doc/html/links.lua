-- SPDX-License-Identifier: BSD-3-Clause
-- Links between documents are links between pages; the first heading is the page's title.
function Link(link)
  if not link.target:match("^%a+:") then
    link.target = link.target:gsub("%.md$", ".html"):gsub("%.md#", ".html#")
  end
  return link
end

function Pandoc(document)
  if document.meta.title then
    document.meta.pagetitle = document.meta.title
    return document
  end
  for _, block in ipairs(document.blocks) do
    if block.t == "Header" then
      document.meta.pagetitle = pandoc.utils.stringify(block)
      return document
    end
  end
end
