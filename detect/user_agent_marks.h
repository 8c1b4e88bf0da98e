/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user_agent_marks: the pieces of text that tell one User-Agent header from another, in lower case.
 * For user_agent.c alone, which looks for all of them in one pass: constant, first two characters,
 * text; in order of the first character, blanks before letters, which the index there relies on.
 * `key` is handed on to each row.
 */
#ifndef WEIR_DETECT_USER_AGENT_MARKS_H
#define WEIR_DETECT_USER_AGENT_MARKS_H

// clang-format off
#define USER_AGENT_MARKS(MARK, key) \
    MARK(key, BRAVE_CHROME,        ' ', 'b', " brave chrome/")      \
    MARK(key, BRAVE,               ' ', 'b', " brave/")             \
    MARK(key, DDG,                 ' ', 'd', " ddg/")               \
    MARK(key, GSA,                 ' ', 'g', " gsa/")               \
    MARK(key, MOBI,                ' ', 'm', " mobi")               \
    MARK(key, OPT,                 ' ', 'o', " opt/")               \
    MARK(key, OPX,                 ' ', 'o', " opx/")               \
    MARK(key, SPACE_SPOTIFY,       ' ', 's', " spotify/")           \
    MARK(key, ADIDXBOT,            'a', 'd', "adidxbot")            \
    MARK(key, ADT,                 'a', 'd', "adt-")                \
    MARK(key, AFTB,                'a', 'f', "aftb")                \
    MARK(key, AIOHTTP,             'a', 'i', "aiohttp/")            \
    MARK(key, ANDROID,             'a', 'n', "android")             \
    MARK(key, APPLEBOT,            'a', 'p', "applebot")            \
    MARK(key, APPLEWEBKIT,         'a', 'p', "applewebkit")         \
    MARK(key, AQUOS,               'a', 'q', "aquos")               \
    MARK(key, BAIDUSPIDER,         'b', 'a', "baiduspider")         \
    MARK(key, BB10,                'b', 'b', "bb10")                \
    MARK(key, BINGBOT,             'b', 'i', "bingbot")             \
    MARK(key, BINGPREVIEW,         'b', 'i', "bingpreview")         \
    MARK(key, BLACKBERRY,          'b', 'l', "blackberry")          \
    MARK(key, BROWSER,             'b', 'r', "browser/")            \
    MARK(key, CFNETWORK,           'c', 'f', "cfnetwork")           \
    MARK(key, CFNETWORK_VERSION,   'c', 'f', "cfnetwork/")          \
    MARK(key, CHROME,              'c', 'h', "chrome/")             \
    MARK(key, CHROMIUM,            'c', 'h', "chromium/")           \
    MARK(key, COC_COC,             'c', 'o', "coc_coc_browser/")    \
    MARK(key, CRIOS,               'c', 'r', "crios/")              \
    MARK(key, CRKEY,               'c', 'r', "crkey")               \
    MARK(key, CRMO,                'c', 'r', "crmo/")               \
    MARK(key, CROS,                'c', 'r', "cros")                \
    MARK(key, DARWIN,              'd', 'a', "darwin")              \
    MARK(key, DUCKDUCKBOT,         'd', 'u', "duckduckbot")         \
    MARK(key, DUCKDUCKGO,          'd', 'u', "duckduckgo/")         \
    MARK(key, EDG,                 'e', 'd', "edg/")                \
    MARK(key, EDGA,                'e', 'd', "edga/")               \
    MARK(key, EDGE,                'e', 'd', "edge/")               \
    MARK(key, EDGIOS,              'e', 'd', "edgios/")             \
    MARK(key, ELECTRON,            'e', 'l', "electron/")           \
    MARK(key, FACEBOOKEXTERNALHIT, 'f', 'a', "facebookexternalhit") \
    MARK(key, FACEBOT,             'f', 'a', "facebot")             \
    MARK(key, FIREFOX,             'f', 'i', "firefox")             \
    MARK(key, FIREFOX_VERSION,     'f', 'i', "firefox/")            \
    MARK(key, FREEBSD,             'f', 'r', "freebsd")             \
    MARK(key, FUCHSIA,             'f', 'u', "fuchsia")             \
    MARK(key, FXIOS,               'f', 'x', "fxios")               \
    MARK(key, FXIOS_VERSION,       'f', 'x', "fxios/")              \
    MARK(key, GECKO,               'g', 'e', "gecko")               \
    MARK(key, GLASS,               'g', 'l', "glass")               \
    MARK(key, GOOGLEBOT,           'g', 'o', "googlebot")           \
    MARK(key, GOOGLETV,            'g', 'o', "googletv")            \
    MARK(key, HEADLESSCHROME,      'h', 'e', "headlesschrome/")     \
    MARK(key, HPWOS,               'h', 'p', "hpwos")               \
    MARK(key, HUAWEIBROWSER,       'h', 'u', "huaweibrowser/")      \
    MARK(key, ICECAT,              'i', 'c', "icecat")              \
    MARK(key, ICEWEASEL,           'i', 'c', "iceweasel")           \
    MARK(key, IEMOBILE,            'i', 'e', "iemobile/")           \
    MARK(key, IPAD,                'i', 'p', "ipad")                \
    MARK(key, IPHONE,              'i', 'p', "iphone")              \
    MARK(key, KAIOS,               'k', 'a', "kaios/")              \
    MARK(key, KINDLE,              'k', 'i', "kindle")              \
    MARK(key, KINDLE_VERSION,      'k', 'i', "kindle/")             \
    MARK(key, LIKE_ANDROID,        'l', 'i', "like android")        \
    MARK(key, LIKE_GECKO,          'l', 'i', "like gecko")          \
    MARK(key, LINKEDINBOT,         'l', 'i', "linkedinbot")         \
    MARK(key, LINUX,               'l', 'i', "linux")               \
    MARK(key, MAXTHON,             'm', 'a', "maxthon/")            \
    MARK(key, METASR,              'm', 'e', "metasr ")             \
    MARK(key, MICROSOFT_CRYPTOAPI, 'm', 'i', "microsoft-cryptoapi") \
    MARK(key, MIUIBROWSER,         'm', 'i', "miuibrowser/")        \
    MARK(key, MOBILE,              'm', 'o', "mobile")              \
    MARK(key, MOBILE_SLASH,        'm', 'o', "mobile/")             \
    MARK(key, MOZILLA,             'm', 'o', "mozilla/")            \
    MARK(key, MSIE,                'm', 's', "msie")                \
    MARK(key, MSIE_VERSION,        'm', 's', "msie ")               \
    MARK(key, MSNBOT,              'm', 's', "msnbot")              \
    MARK(key, NETBSD,              'n', 'e', "netbsd")              \
    MARK(key, NETCAST,             'n', 'e', "netcast")             \
    MARK(key, NEXUS_10,            'n', 'e', "nexus 10")            \
    MARK(key, NEXUS_7,             'n', 'e', "nexus 7")             \
    MARK(key, NEXUS_9,             'n', 'e', "nexus 9")             \
    MARK(key, NINTENDO,            'n', 'i', "nintendo")            \
    MARK(key, OPENBSD,             'o', 'p', "openbsd")             \
    MARK(key, OPENHARMONY,         'o', 'p', "openharmony ")        \
    MARK(key, OPERA,               'o', 'p', "opera")               \
    MARK(key, OPERA_VERSION,       'o', 'p', "opera/")              \
    MARK(key, OPIOS,               'o', 'p', "opios/")              \
    MARK(key, OPR,                 'o', 'p', "opr/")                \
    MARK(key, OS_X_10,             'o', 's', "os x 10")             \
    MARK(key, OS_SLASH,            'o', 's', "os/")                 \
    MARK(key, PHANTOMJS,           'p', 'h', "phantomjs")           \
    MARK(key, PHONE,               'p', 'h', "phone")               \
    MARK(key, PINGDOM,             'p', 'i', "pingdom.com_bot")     \
    MARK(key, PLAYBOOK,            'p', 'l', "playbook")            \
    MARK(key, PLAYSTATION,         'p', 'l', "playstation")         \
    MARK(key, POWERSHELL,          'p', 'o', "powershell/")         \
    MARK(key, PRESTO,              'p', 'r', "presto")              \
    MARK(key, PSP,                 'p', 's', "psp")                 \
    MARK(key, QQBROWSER,           'q', 'q', "qqbrowser/")          \
    MARK(key, RIM,                 'r', 'i', "rim ")                \
    MARK(key, ROKU,                'r', 'o', "roku")                \
    MARK(key, SAFARI,              's', 'a', "safari/")             \
    MARK(key, SAMSUNGBROWSER,      's', 'a', "samsungbrowser/")     \
    MARK(key, SD4930UR,            's', 'd', "sd4930ur")            \
    MARK(key, SEAMONKEY,           's', 'e', "seamonkey")           \
    MARK(key, SILK,                's', 'i', "silk/")               \
    MARK(key, SM_V,                's', 'm', "sm-v")                \
    MARK(key, SPOTIFY,             's', 'p', "spotify/")            \
    MARK(key, TABLET,              't', 'a', "tablet")              \
    MARK(key, TIZEN,               't', 'i', "tizen ")              \
    MARK(key, TOUCH,               't', 'o', "touch")               \
    MARK(key, TRIDENT,             't', 'r', "trident")             \
    MARK(key, TRIDENT_VERSION,     't', 'r', "trident/")            \
    MARK(key, TUNER,               't', 'u', "tuner")               \
    MARK(key, TV,                  't', 'v', "tv")                  \
    MARK(key, TWITTERBOT,          't', 'w', "twitterbot")          \
    MARK(key, UCBROWSER,           'u', 'c', "ucbrowser")           \
    MARK(key, UCBROWSER_VERSION,   'u', 'c', "ucbrowser/")          \
    MARK(key, UCWEB,               'u', 'c', "ucweb/")              \
    MARK(key, VERSION,             'v', 'e', "version/")            \
    MARK(key, ANDROID_4_WEBVIEW,   'v', 'e', "version/4.0 chrome/") \
    MARK(key, VIERA,               'v', 'i', "viera")               \
    MARK(key, VITA,                'v', 'i', "vita")                \
    MARK(key, VIVALDI,             'v', 'i', "vivaldi/")            \
    MARK(key, VIZIO,               'v', 'i', "vizio")               \
    MARK(key, WATCH,               'w', 'a', "watch")               \
    MARK(key, WEBOS,               'w', 'e', "webos")               \
    MARK(key, WHALE,               'w', 'h', "whale/")              \
    MARK(key, WINDOWS,             'w', 'i', "windows ")            \
    MARK(key, WINDOWS_NT,          'w', 'i', "windows nt ")         \
    MARK(key, WINDOWS_XP,          'w', 'i', "windows xp")          \
    MARK(key, WV,                  'w', 'v', "wv)")                 \
    MARK(key, XBOX,                'x', 'b', "xbox")                \
    MARK(key, XOOM,                'x', 'o', "xoom")                \
    MARK(key, YABROWSER,           'y', 'a', "yabrowser/")          \
    MARK(key, YADIRECTFETCHER,     'y', 'a', "yadirectfetcher")     \
    MARK(key, YAHOO,               'y', 'a', "yahoo")               \
    MARK(key, YANDEX,              'y', 'a', "yandex")
// clang-format on

#endif
