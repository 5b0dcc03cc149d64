"""Words that prompts contain besides the captions, so that an ordinary prompt costs few tokens."""

from __future__ import annotations

PROMPT_WORDS = """
a about above abstract after against all amazing among an and animal anime are aqua architecture around art artist
artistic artwork as asymmetric at autumn award baby background bad beach beautiful beauty bed before behind below
beneath best between big bird black blob blue blur blurry boat body book bottom box bright brown building bunch but by
camera candle car cartoon castle cat centered center centre chair child cinematic circle circles city clean clear
close closeup cloud clouds coffee cold color colored colorful colour coloured colourful comic composition concept
cover cozy crayon crisp cross crosses cup cute cyan dark day deformed depth design desk detail detailed details
diagonal digital disc disk distant distorted dog door dot dots drawing drawn dress duplicate each earth edge edges
elegant empty epic eye eyes face fantasy far farm field fill filled film fine fire flat floating flower flowers focus
fog for forest frame from front full funny futuristic galaxy garden geometric girl glass glow glowing gold golden
gradient grain grainy grass gray green grey group hair hand hands happy hat head heart heavy hexagon high highly hill
his home horizontal horse hot house huge human ice icon illustration image in ink inside interior into is island it
its japanese jpeg king knight lake lamp landscape large left legs lens light lighting line lines lineart little logo
long low lower macro made magic man many map masterpiece material matte metal middle minimal minimalist mist modern
moon morning mountain mountains mouth movie multiple museum mutated nature near neon next night no noise noisy north
not object objects ocean of oil old on one orange ornate out outline outlined outside oval over overlapping paint
painted painting palette paper park pastel pattern pen pencil pentagon people person perfect photo photograph
photographic photography photorealistic picture pink pixel plain plant plastic polygon poor portrait poster pretty
princess professional purple quality queen rain rainbow realistic realism rectangle red render rendering resolution
retro right ring rings river road robot rock room rose round ruins sand scene school sculpture sea shadow shadows
shape shapes sharp shiny ship shirt shot side sign silver simple single sitting size sketch sky small smile smooth
snow soft solid south space sphere spiral spring square squares stained standing star stars statue stone storm street
stripe striped stripes studio style summer sun sunlight sunny sunrise sunset surface symbol symmetric symmetrical
table tall teal text texture that the their there thick thin this three tiny to top tower town toy train tree trees
triangle triangles two ugly ultra under underneath up upper vector very vertical vibrant view village vintage violet
volumetric warm wall warrior water watercolor watermark wave waves west white wide window winter with without wizard
woman wonderful wood wooden work world worst wrong yellow young zoom 2d 3d 4k 8k hd uhd 1 2 3 4 5 6 7 8 9 0
""".split()  # noqa: SIM905
