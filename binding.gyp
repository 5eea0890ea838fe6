{
  "targets": [
    {
      "target_name": "weft",
      "sources": [
        "<!@(node -p \"const fs=require('fs');['native/addon','native/engine'].flatMap(d=>fs.readdirSync(d).filter(f=>f.endsWith('.cc')).map(f=>d+'/'+f)).sort().join(' ')\")"
      ],
      "include_dirs": [
        "<!(node -p \"require('node-addon-api').include_dir\")"
      ],
      "defines": ["NAPI_VERSION=9", "NAPI_DISABLE_CPP_EXCEPTIONS"],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20", "-fno-rtti"],
      # -iquote, not -I: native/engine/limits.h must not stand in for the system's <limits.h>
      "cflags_cc": ["-iquote", "<(module_root_dir)/native/engine", "-std=c++20", "-O3", "-fvisibility=hidden", "-Wall", "-Wextra", "-fno-exceptions"],
      "ldflags": ["-Wl,--as-needed", "-Wl,-z,relro,-z,now"],
      "libraries": ["-ldl", "-lpthread"]
    }
  ]
}
