# Compiler settings that hold for every target of ours.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  # Precompiled headers are only cacheable when ccache ignores the include time stamps that they carry.
  # The base folder lets a second clone use what the first one compiled.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE_PROGRAM})
endif()

# Everything of ours links this: warnings, sanitizers, the include root ("common/...", "render_node/...").
add_library(diptych_flags INTERFACE)
target_include_directories(diptych_flags INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/generated)
# -fPIC by hand: CMake would give programs -fPIE, and then they could not share the precompiled header of the libraries.
target_compile_options(diptych_flags INTERFACE -fPIC -Wall -Wextra "$<$<BOOL:${DIPTYCH_WERROR}>:-Werror;-D_GLIBCXX_ASSERTIONS>")
# GCC 12 sees overlapping copies in `"text" + std::to_string(n)` where there are none (GCC bug 105329).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(diptych_flags INTERFACE -Wno-restrict)
endif()
# -fpch-preprocess lets ccache see through a precompiled header.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CCACHE_PROGRAM)
  target_compile_options(diptych_flags INTERFACE -fpch-preprocess)
endif()
if(DIPTYCH_SANITIZE)
  # These come after the build type's -O2 -g and so overrule it. What costs time is compiling: with -O1 -g a file of JSON took 35 s under
  # the address sanitizer, 10 to 13 s so. A report needs line numbers and frames, nothing else.
  set(sanitized_level -O0)
  if(DIPTYCH_SANITIZE STREQUAL "thread")
    set(sanitized_level -O1)  # hardly slower to compile there, and its tests run for longer
  endif()
  # _GLIBCXX_ASSERTIONS: what the library can see of misuse, such as the value of an empty optional, which may be there by chance.
  target_compile_options(diptych_flags INTERFACE -fsanitize=${DIPTYCH_SANITIZE} -fno-omit-frame-pointer -g1 ${sanitized_level} -D_GLIBCXX_ASSERTIONS)
  target_link_options(diptych_flags INTERFACE -fsanitize=${DIPTYCH_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    target_compile_options(diptych_flags INTERFACE -fsanitize=fuzzer-no-link)  # the coverage that libFuzzer follows
    target_link_options(diptych_flags INTERFACE -fsanitize=fuzzer-no-link)
  endif()
endif()
